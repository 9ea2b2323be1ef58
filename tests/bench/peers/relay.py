"""The bare relay of `relay.rs`: what proxying costs in this runtime when nothing else is done."""

from peers import Missing, built


def command(setting, work):
    if not work.proxied:
        raise Missing("the relay answers nothing by itself")
    return [built(setting, "relay"), f"127.0.0.1:{setting.port}", f"127.0.0.1:{setting.upstream_port}"]


def version(_):
    return None
