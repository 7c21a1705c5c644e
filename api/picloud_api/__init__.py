"""The API: resources (HTTP only) over usecases (rules only) over a store of what is known."""
