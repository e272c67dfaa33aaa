//! Floor 6: sockets, transports, muxes, connections. Imports base, event, msg, wire, plan, shm, cx.
