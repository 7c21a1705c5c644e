"""Images of docker: built in containers, and changed by hand in containers of their own."""
