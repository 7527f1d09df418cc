//! A relay on loopback between a client and a server, that can be told to do harm.
