"""PROXY protocol headers, as a proxy in front of the server would write them."""
import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version_1(source, port, destination="127.0.0.1"):
    family = "TCP6" if ":" in source else "TCP4"
    destination = "::1" if ":" in source else destination
    return f"PROXY {family} {source} {destination} {port} 8080\r\n".encode()


def version_2(source, port, extensions=b""):
    address = ipaddress.ip_address(source)
    other = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")
    body = address.packed + other.packed + struct.pack("!HH", port, 8080) + extensions
    return SIGNATURE + bytes([0x21, 0x21 if address.version == 6 else 0x11]) + struct.pack("!H", len(body)) + body


def local():
    """What a proxy says in front of its own health check."""
    return SIGNATURE + bytes([0x20, 0x00, 0, 0])
