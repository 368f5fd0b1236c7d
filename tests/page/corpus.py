"""What strangers might write into an alert to make a browser obey."""

HOSTILE = (
    "<script>window.pwned=1</script>",
    '"><img src=x onerror=window.pwned=1>',
    "'><svg onload=window.pwned=1>",
    "</pre></script><script>window.pwned=1</script>",
    "javascript:window.pwned=1",
    "{{ 7*7 }}{% if x %}${7*7}",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>",
    "<a href=javascript:window.pwned=1>x</a><base href=//evil.example>",
    "--><style>body{display:none}</style><!--",
    "\u202egnp.exe \u2066hidden\u2069 \u200bzero\u0000nul\u001b[31mred",
)
