//! What `--help` prints.

use lighterman::conf::about;

/// Shown below an error of the command line.
pub const HINT: &str = "Try --help.\n";

/// The whole help.
pub fn text() -> String {
    format!("{}\n{TEXT}", about::short())
}

const TEXT: &str = "\
Takes TLS off in front of your servers and spreads HTTP and TCP over them.

Usage without a file:
  lighterman --listen :8443 --to 127.0.0.1:8080 [--crt PATH] [--workers N]
      --listen ADDR   where clients connect with TLS; may be repeated
      --to ADDR       the server behind; may be repeated
      --crt PATH      certificate and key in one PEM file, or a directory of such files;
                      without it a self-signed certificate is made
      --workers N     worker processes; one per core without it

Usage with a configuration file, in the language of HAProxy:
  lighterman -f FILE [options]
      -f FILE|DIR     a configuration; may be repeated; a directory stands for its *.cfg files
      -- FILE...      more configuration files
      -c              check the configuration and end: 0 it is fine, 1 it is not
      -C DIR          change to this directory first

Running:
      -D              go to the background
      -W              a master and its workers, also with one worker
      -Ws             the same, telling systemd when it serves
      -d              everything in this one process, in the foreground
      -db             stay in the foreground, whatever the configuration says
      -p FILE         write the PID there
      -S ADDR[,OPTS]  command socket of the master
      -n N            most connections of all together
      -N N            most connections of each frontend that does not say
      -sf PID...      once we serve, tell these to finish and leave
      -st PID...      once we serve, end these
      -L NAME         name of this peer
      -q              say nothing but errors and warnings
      -V              say more (with -c: say that the configuration is fine)

Asking:
      -v, -vv         version; with everything that is built in
      -cc CONDITION   evaluate a condition as in \".if\": 0 true, 1 false, 2 not readable
      -dK[CLASS]      list keywords: global, proxy, bind, server, fetch, converter, action
      -dD             also show what .diag lines say
      -dW             take warnings for errors
      -dV             check no certificates of servers
      -dL             libraries in use
      -h, --help      this text

-m -x -dM -dI -dS -dr -de -ds -dp -dF -dt -dZ and their like are read and ignored.

Signals: TERM, INT end it; USR1 finishes what is open, then ends it; USR2 and HUP read the
configuration again.
";
