"""The API's shapes: what is answered and asked; `/openapi.json` is made from them too.

Answers are typed dictionaries: they cost nothing to make, and `make lint` proves that what a route
answers has every field of its shape and no other. They are not validated when they are sent: what
a later release stored must be readable here.
"""
