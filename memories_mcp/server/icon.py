"""The server's icon, a moment on a film strip; small, because every response of the newest protocol carries it."""

from base64 import b64encode

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="#4338ca"/>'
    '<path d="M9 7l8 5-8 5z" fill="#fff"/><path d="M4 20h16" stroke="#fbbf24" stroke-width="2"/></svg>'
)
ICON = f"data:image/svg+xml;base64,{b64encode(_SVG.encode()).decode()}"
