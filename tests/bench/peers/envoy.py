"""Envoy with one worker. It does not make up request ids or headers of its own, since none of the others does."""

import json

from peers import Missing


def command(setting, work):
    if not setting.envoy.exists():
        raise Missing(f"{setting.envoy} is not there")
    if work.proxied:
        route = {"route": {"cluster": "app"}}
    else:
        route = {"direct_response": {"status": 200, "body": {"inline_string": work.body}}}
    router = typed("extensions.filters.http.router.v3.Router", suppress_envoy_headers=True)
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="web",
        generate_request_id=False,
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}]},
        http_filters=[{"name": "router", "typed_config": router}],
    )
    listener = {
        "name": "web",
        "address": address(setting.port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    resources = {"listeners": [listener]}
    if work.proxied:
        endpoint = {"lb_endpoints": [{"endpoint": {"address": address(setting.upstream_port)}}]}
        assignment = {"cluster_name": "app", "endpoints": [endpoint]}
        resources["clusters"] = [{"name": "app", "type": "STATIC", "load_assignment": assignment}]
    path = setting.directory / "envoy.json"
    path.write_text(json.dumps({"static_resources": resources}, indent=2))
    return [setting.envoy, "-c", path, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]


def version(setting):
    return [setting.envoy, "--version"]


def typed(name, **fields):
    return {"@type": f"type.googleapis.com/envoy.{name}", **fields}


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
