"""Makes a release: builds what is published from a tag, checks it, sums it up and signs it."""


class Refused(Exception):
    """There is no release of this; the message says what to mend."""
