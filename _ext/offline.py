"""Keep the pages of the book free of everything that is fetched from a server.

Jupyter Book loads sphinx-thebe whether or not its button is wanted, and its script names a server.
It also puts every script under `_static` on every page; MathJax is to be loaded by the pages that
have a formula, where Sphinx asks for it, and by no other.
"""

from docutils import nodes

VENDORED = "vendor/"
LAST = 900  # after every other listener of an event


def leave_vendored_scripts_to_their_users(app, config):
    """Take the vendored scripts off the list of those that every page loads."""
    config.html_js_files = [
        script
        for script in config.html_js_files
        if not (script if isinstance(script, str) else script[0]).startswith(VENDORED)
    ]


def drop_thebe_settings(app, doctree, docname):
    """Drop the settings that thebe appends to the text of a page."""
    for node in list(doctree.findall(nodes.raw)):
        if "x-thebe-config" in node.astext() or node.astext().startswith("<script>kernelName"):
            node.parent.remove(node)


def drop_thebe_files(app, pagename, templatename, context, doctree):
    """Drop thebe's scripts and style from the head of a page."""
    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context.get(kind, []) if not _is_thebe(asset)]


def _is_thebe(asset):
    inline = getattr(asset, "attributes", {}).get("body") or ""
    return "thebe" in str(getattr(asset, "filename", asset)) or "THEBE_JS_URL" in inline


def setup(app):
    app.connect("config-inited", leave_vendored_scripts_to_their_users)
    app.connect("doctree-resolved", drop_thebe_settings, priority=LAST)
    app.connect("html-page-context", drop_thebe_files, priority=LAST)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
