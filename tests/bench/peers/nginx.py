"""nginx with one worker below its master. The upstream of the bench is made from the same configuration."""

FOR_EVER = 1_000_000_000


def command(setting, work):
    if not work.proxied:
        return master(setting.directory, setting.port, f'return 200 "{work.body}";')
    location = """
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffers 4 32k;  # a large answer in few reads, and none of it through a file
            proxy_busy_buffers_size 64k;
            proxy_max_temp_file_size 0;"""
    app = f"""
    upstream app {{
        server 127.0.0.1:{setting.upstream_port};
        keepalive 256;
        keepalive_requests {FOR_EVER};
        keepalive_timeout 1h;
    }}"""
    return master(setting.directory, setting.port, location, app)


def version(_):
    return ["nginx", "-v"]


def master(directory, port, location, upstreams=""):
    """Writes the configuration into `directory`; the directory is opened to the worker, which may run under another user."""
    directory.chmod(0o755)
    temporary = "\n".join(
        f"    {kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = directory / "nginx.conf"
    path.write_text(f"""\
worker_processes 1;
daemon off;
pid {directory}/pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests {FOR_EVER};
    keepalive_timeout 1h;
{temporary}{upstreams}
    server {{
        listen 127.0.0.1:{port};
        location / {{ {location} }}
    }}
}}
""")
    return ["nginx", "-p", directory, "-e", "stderr", "-c", path]
