"""The operators' page: which models are bad, what was done, why something was not.

routes -> overview | model_page | timeline | details -> rendering (templates)
       -> acting (forms)                                static/ (one stylesheet, one script)
"""
