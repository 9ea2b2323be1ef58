"""Tandem with one worker and the HTTP component."""

from peers import built

LIBRARY = "libtandem_http.so"


def command(setting, work, named=False, service="", more=""):
    """With `named`, each answer says in `x-served-by` which version it is from. `service` is more of its service's configuration,
    `more` of all."""
    host = built(setting, "tandem")
    library = built(setting, LIBRARY)
    components(setting).mkdir()
    components(setting).joinpath(LIBRARY).write_bytes(library.read_bytes())
    route = 'upstream = "app"' if work.proxied else f'status = 200, body = "{work.body}"'
    served_by = 'served_by = "x-served-by"' if named else ""
    upstream = f'[upstream.app]\nservers = ["tcp://127.0.0.1:{setting.upstream_port}"]' if work.proxied else ""
    configuration(setting).write_text(f"""\
components = "{components(setting)}"
data = "{setting.directory}/data"
workers = 1

[service.web]
component = "http"
listen = ["tcp://127.0.0.1:{setting.port}"]
{service}
[service.web.config]
routes = [{{ path = "/", {route} }}]
{served_by}

{upstream}

[component.http]
versions = {{ keep = 0 }}

{more}
""")
    return [host, "run", "--config", configuration(setting)]


def version(setting):
    return [setting.release / "tandem", "--version"]


def components(setting):
    return setting.directory / "components"


def configuration(setting):
    return setting.directory / "tandem.toml"
