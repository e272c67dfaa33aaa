//! The TLS words of `bind` and `server` lines, as written: plain data, no library object.

use std::collections::HashMap;
use std::path::PathBuf;

use super::crt::{CrtFiles, CrtSource};

/// A TLS protocol version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TlsVersion {
    /// TLS 1.0 (RFC 2246).
    V10,
    /// TLS 1.1 (RFC 4346).
    V11,
    /// TLS 1.2 (RFC 5246).
    V12,
    /// TLS 1.3 (RFC 8446).
    V13,
}

/// What both ends may say of versions, ciphers and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsCommon {
    /// `ssl-min-ver`; TLS 1.2 when nothing is said.
    pub min: TlsVersion,
    /// `ssl-max-ver`; the highest when nothing is said.
    pub max: TlsVersion,
    /// `ciphers`: TLS up to 1.2, in OpenSSL's syntax.
    pub ciphers: Option<String>,
    /// `ciphersuites`: TLS 1.3.
    pub ciphersuites: Option<String>,
    /// `curves`, or `ecdhe`: groups, preferred first.
    pub curves: Option<String>,
    /// `sigalgs`.
    pub sigalgs: Option<String>,
    /// `alpn`: protocols, preferred first, without the length bytes.
    pub alpn: Vec<String>,
    /// `no-tls-tickets` cancels them.
    pub tickets: bool,
}

impl Default for TlsCommon {
    fn default() -> Self {
        TlsCommon {
            min: TlsVersion::V12,
            max: TlsVersion::V13,
            ciphers: None,
            ciphersuites: None,
            curves: None,
            sigalgs: None,
            alpn: Vec::new(),
            tickets: true,
        }
    }
}

/// What is asked of the peer's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verify {
    /// Nothing.
    None,
    /// Asked for, checked when given (bind only).
    Optional,
    /// Asked for and must be right.
    Required,
}

/// Where authorities come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaSource {
    /// A PEM file or a directory of them.
    Path(PathBuf),
    /// `@system-ca`: what the system trusts.
    System,
}

/// Faults of certificates that are passed over: numbers of the library's verification results, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored(pub u128);

impl Ignored {
    /// `all`.
    pub const ALL: Ignored = Ignored(u128::MAX);

    /// This fault too.
    pub fn add(&mut self, number: u8) {
        self.0 |= 1u128.checked_shl(number.into()).unwrap_or(0);
    }

    /// Whether this fault is passed over. Numbers beyond all that are known are so with `all` only.
    pub fn has(self, number: i32) -> bool {
        match u32::try_from(number).ok().and_then(|number| 1u128.checked_shl(number)) {
            Some(bit) => self.0 & bit != 0,
            None => self == Self::ALL,
        }
    }
}

/// `ssl` and its family on a `bind` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindTls {
    /// Versions, ciphers, groups, ALPN.
    pub common: TlsCommon,
    /// `crt` and `crt-list`, in order, `crt-base` already applied.
    pub crt: Vec<CrtSource>,
    /// `default-crt`: shown when no name fits, instead of the first of `crt`.
    pub default_crt: Vec<CrtSource>,
    /// The line as lines of its lists change it: each is this line with some options replaced, and no certificates.
    pub variants: Vec<BindTls>,
    /// `watch`: directories of `crt` are watched, what changes in them is in use at once.
    pub watch: bool,
    /// `strict-sni`: a name without a certificate is refused.
    pub strict_sni: bool,
    /// `prefer-client-ciphers`.
    pub prefer_client_ciphers: bool,
    /// `verify`.
    pub verify: Verify,
    /// `ca-file`.
    pub ca_file: Option<CaSource>,
    /// `ca-verify-file`: authorities that are believed, but not named to clients.
    pub ca_verify_file: Option<CaSource>,
    /// `no-ca-names`: clients are not told whom we believe.
    pub no_ca_names: bool,
    /// `ca-ignore-err`: faults of authorities that are passed over.
    pub ca_ignore: Ignored,
    /// `crt-ignore-err`: faults of the client's own certificate that are passed over.
    pub crt_ignore: Ignored,
    /// `crl-file`.
    pub crl_file: Option<PathBuf>,
    /// `tls-ticket-keys`: the file whose keys seal and open tickets, instead of random ones.
    pub ticket_keys: Option<PathBuf>,
    /// `allow-0rtt`.
    pub early_data: bool,
    /// `ocsp-update`: whether OCSP answers of its certificates are kept fresh, where nothing is said of one.
    pub ocsp_update: Option<bool>,
    /// `generate-self-signed`: what `--listen` without `--crt` asks for.
    pub self_signed: bool,
}

impl Default for BindTls {
    fn default() -> Self {
        BindTls {
            common: TlsCommon::default(),
            crt: Vec::new(),
            default_crt: Vec::new(),
            variants: Vec::new(),
            watch: false,
            strict_sni: false,
            prefer_client_ciphers: false,
            verify: Verify::None,
            ca_file: None,
            ca_verify_file: None,
            no_ca_names: false,
            ca_ignore: Ignored::default(),
            crt_ignore: Ignored::default(),
            crl_file: None,
            ticket_keys: None,
            early_data: false,
            ocsp_update: None,
            self_signed: false,
        }
    }
}

impl BindTls {
    /// What is said of single certificates: whether their OCSP answers are kept fresh, by file.
    pub fn said_of_updates(&self) -> HashMap<PathBuf, bool> {
        let mut said = HashMap::new();
        let mut note = |files: &CrtFiles| {
            if let Some(on) = files.ocsp_update {
                said.insert(files.crt.clone(), on);
            }
        };
        for source in self.crt.iter().chain(&self.default_crt) {
            match source {
                CrtSource::Path(_) => {}
                CrtSource::Stored(files) => note(files),
                CrtSource::List(list) => {
                    list.lines().filter_map(|line| line.files).for_each(|files| note(files))
                }
            }
        }
        said
    }
}

/// `ssl` and its family on a `server` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// Versions, ciphers, groups, ALPN.
    pub common: TlsCommon,
    /// `verify`: required unless `none` is written or `ssl-server-verify none` in `global`.
    pub verify: Verify,
    /// `ca-file`.
    pub ca_file: Option<CaSource>,
    /// `crl-file`.
    pub crl_file: Option<PathBuf>,
    /// `crt`: the client certificate shown to the server, and what was named as belonging to it.
    pub crt: Option<CrtFiles>,
    /// `verifyhost`: the name the certificate must carry.
    pub verify_host: Option<String>,
    /// `no-ssl-reuse` cancels it.
    pub reuse_sessions: bool,
    /// `allow-0rtt`.
    pub early_data: bool,
}

impl Default for ServerTls {
    fn default() -> Self {
        ServerTls {
            common: TlsCommon::default(),
            verify: Verify::Required,
            ca_file: None,
            crl_file: None,
            crt: None,
            verify_host: None,
            reuse_sessions: true,
            early_data: false,
        }
    }
}
