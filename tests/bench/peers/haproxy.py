"""haproxy as one process with one thread, every idle upstream connection open to every request."""


def command(setting, work):
    if work.proxied:
        serve = f"""
    http-reuse always
    server app 127.0.0.1:{setting.upstream_port} maxconn 4096 pool-max-conn 4096"""
    else:
        serve = f"""
    http-request return status 200 content-type text/plain string "{work.body}\""""
    path = setting.directory / "haproxy.cfg"
    path.write_text(f"""\
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    option http-keep-alive
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen web
    bind 127.0.0.1:{setting.port}{serve}
""")
    return ["haproxy", "-db", "-f", path]


def version(_):
    return ["haproxy", "-v"]
