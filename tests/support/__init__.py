"""What the black-box tests share: a server process, clients, raw sockets and tokens."""
