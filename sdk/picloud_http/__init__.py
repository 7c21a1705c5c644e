"""HTTP/1.1 as clients and slots use it with the API: over connections that stay open."""
