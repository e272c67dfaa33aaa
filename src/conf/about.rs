//! What this program says about itself: versions, features, options. Read by conditions (`.if`, `-cc`)
//! and printed by `-v` and `-vv`.

use std::fmt::Write;

/// The configuration language answered for by `version_atleast` and its family.
pub const LANGUAGE: &str = "3.5.0";

/// The program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The day of this version.
pub const DATE: &str = "2026/11/21";

/// Every feature name users ask for, with the answer. Names are HAProxy's, as files test for them.
const FEATURES: &[(&str, bool)] = &[
    ("51DEGREES", false),
    ("ACCEPT4", true),
    ("BACKTRACE", false),
    ("CPU_AFFINITY", true),
    ("CRYPT_H", false),
    ("DEVICEATLAS", false),
    ("DL", false),
    ("ENGINE", false),
    ("EPOLL", cfg!(target_os = "linux")),
    ("EVPORTS", false),
    ("GETADDRINFO", true),
    ("HAVE_WORKING_TCP_MD5SIG", false),
    ("KQUEUE", cfg!(any(target_os = "freebsd", target_os = "macos"))),
    ("LIBCRYPT", false),
    ("LINUX_CAP", false),
    ("LINUX_SPLICE", false),
    ("LINUX_TPROXY", cfg!(target_os = "linux")),
    ("LUA", false),
    ("MATH", true),
    ("NETFILTER", cfg!(target_os = "linux")),
    ("NS", false),
    ("OPENSSL", true),
    ("OPENSSL_AWSLC", cfg!(feature = "aws-lc")),
    ("OPENSSL_WOLFSSL", false),
    ("OT", false),
    ("PCRE", false),
    ("PCRE2", false),
    ("POLL", true),
    ("PRCTL", cfg!(target_os = "linux")),
    ("PROMEX", false),
    ("QUIC", false),
    ("RT", true),
    ("SHM_OPEN", false),
    ("SLZ", false),
    ("SSL", true),
    ("SYSTEMD", cfg!(target_os = "linux")),
    ("TFO", cfg!(target_os = "linux")),
    ("THREAD", false),
    ("TPROXY", cfg!(target_os = "linux")),
    ("WURFL", false),
    ("ZLIB", false),
];

/// Names of the features that are built in.
pub fn features() -> Vec<&'static str> {
    FEATURES.iter().filter(|(_, present)| *present).map(|(name, _)| *name).collect()
}

/// Names of the options that are on (`enabled()`).
pub const ENABLED: &[&str] = &[
    #[cfg(target_os = "linux")]
    "EPOLL",
    "GETADDRINFO",
    "POLL",
    "REUSEPORT",
];

/// Name and version of the TLS library.
pub fn ssl_library() -> &'static str {
    openssl::version::version()
}

/// The TLS library's OpenSSL version number, `0xMNNFFPPS`.
pub fn openssl_number() -> u64 {
    u64::try_from(openssl::version::number()).unwrap_or(0)
}

/// AWS-LC's API number, when the TLS library is AWS-LC.
pub fn awslc_api() -> Option<u64> {
    lighterman_sys::tls_library::awslc_api()
}

/// True when the TLS library runs in its validated mode.
pub fn fips() -> bool {
    lighterman_sys::tls_library::fips()
}

/// What `-v` prints.
pub fn short() -> String {
    format!("lighterman version {VERSION} {DATE}\n")
}

/// What `-vv` prints.
pub fn long() -> String {
    let mut out = short();
    let features: Vec<String> = FEATURES
        .iter()
        .map(|(name, present)| format!("{}{name}", if *present { '+' } else { '-' }))
        .collect();
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let _ = write!(
        out,
        "Configuration language: HAProxy {} (version_atleast() and version_before() answer for {LANGUAGE})\n\
         Build: {profile}, {} {}\n\
         \n\
         Feature list : {}\n\
         \n\
         Default settings :\n  bufsize = {}, maxrewrite = {}, maxpollevents = {}\n\
         \n\
         Built with TLS library : {}\n\
         TLS versions : TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3 (the first two only when asked for)\n\
         Built with multi-process support (nbthread is read as nbproc; default: one worker per core).\n\
         \n\
         Available polling systems :\n  {} : edge-triggered\n\
         \n\
         Available multiplexer protocols :\n  \
         <default> : mode=HTTP  side=FE|BE  mux=H1\n  \
                h1 : mode=HTTP  side=FE|BE  mux=H1\n  \
         <default> : mode=TCP   side=FE|BE  mux=PASS\n  \
              none : mode=TCP   side=FE|BE  mux=PASS\n\
         \n\
         Available services : none\n\
         \n\
         Available filters : none\n",
        LANGUAGE.trim_end_matches(".0"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        features.join(" "),
        crate::plan::Tune::default().bufsize,
        crate::plan::Tune::default().maxrewrite,
        crate::plan::Tune::default().maxpollevents,
        ssl_library(),
        if cfg!(target_os = "linux") { "epoll" } else { "kqueue" },
    );
    out
}

/// The libraries this program is made with (`-dL`).
pub fn libraries() -> String {
    format!("{}\n", ssl_library())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_text_says_what_scripts_look_for() {
        let text = long();
        for part in ["lighterman version ", "3.5", "+OPENSSL", "-THREAD", ssl_library(), "bufsize = 16384"] {
            assert!(text.contains(part), "{part}");
        }
        assert!(text.lines().next().is_some_and(|line| line.split(' ').count() == 4));
    }

    #[test]
    fn features_are_sorted_and_answer_by_what_is_there() {
        assert!(FEATURES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(features().contains(&"OPENSSL") && !features().contains(&"THREAD"));
        assert_eq!(awslc_api().is_some(), cfg!(feature = "aws-lc"));
    }
}
