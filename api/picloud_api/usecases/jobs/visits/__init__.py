"""What a browser may open of an account, besides the web pages: machines that run as jobs."""
