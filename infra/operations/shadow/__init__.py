"""Replays into an agent's rules, without its hands: nothing here can sign, unwrap, reply or act."""
