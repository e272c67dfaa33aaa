//! Certificates of clients and of servers: who is believed, and what an operator is told of the others.
