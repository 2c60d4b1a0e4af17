"""Ports of the local world."""

import socket

from deploy.local import ports


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_a_free_port_is_never_given_twice() -> None:
    given = [ports.free_port() for _ in range(200)]
    assert len(set(given)) == len(given)


def test_a_free_port_is_not_one_the_kernel_lends_to_outgoing_connections() -> None:
    assert all(ports.free_port() < 32_768 for _ in range(50))
