//! What a table holds: the type of its keys and the data kept per key (`stick-table type ... store ...`).
//!
//! Made by the configuration, used by everyone who shares the memory. The order of [`Data`] is the order in which
//! HAProxy prints them.

/// The type of a table's keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyType {
    /// `ip`, `ipv4`.
    Ip4,
    /// `ipv6`.
    Ip6,
    /// `integer`: 32 bits.
    Int,
    /// `string`, cut to the length of the table.
    Str,
    /// `binary`, cut or padded with zeros.
    Bin,
}

impl KeyType {
    /// The words of the configuration.
    pub const WORDS: [(&'static str, KeyType); 6] = [
        ("ip", KeyType::Ip4),
        ("ipv4", KeyType::Ip4),
        ("ipv6", KeyType::Ip6),
        ("integer", KeyType::Int),
        ("string", KeyType::Str),
        ("binary", KeyType::Bin),
    ];

    /// The word in `show table`.
    pub fn word(self) -> &'static str {
        match self {
            KeyType::Ip4 => "ip",
            KeyType::Ip6 => "ipv6",
            KeyType::Int => "integer",
            KeyType::Str => "string",
            KeyType::Bin => "binary",
        }
    }
}

/// How a kind of data is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A number of 32 bits.
    Number,
    /// A number of 64 bits.
    Big,
    /// Events per period.
    Rate,
    /// The number of a name in the table's list of names.
    Name,
}

macro_rules! data {
    ($($name:ident $word:literal $form:ident $array:literal $brief:literal;)*) => {
        /// A kind of data kept per key.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Data { $(#[doc = $brief] $name),* }

        impl Data {
            /// Every kind, in the order they are shown in.
            pub const ALL: &'static [Data] = &[$(Data::$name),*];

            /// Its word.
            pub fn word(self) -> &'static str {
                match self { $(Data::$name => $word),* }
            }

            /// How it is kept.
            pub fn form(self) -> Form {
                match self { $(Data::$name => Form::$form),* }
            }

            /// It is one of several of its kind, whose number `store` gives.
            pub fn is_array(self) -> bool {
                match self { $(Data::$name => $array),* }
            }

            /// What it is, in a few words.
            pub fn brief(self) -> &'static str {
                match self { $(Data::$name => $brief),* }
            }
        }
    };
}

data! {
    ServerId "server_id" Number false "the server the key is bound to";
    Gpt0 "gpt0" Number false "a tag for any use";
    Gpc0 "gpc0" Number false "a counter for any use";
    Gpc0Rate "gpc0_rate" Rate false "increments of gpc0 per period";
    ConnCnt "conn_cnt" Number false "connections so far";
    ConnRate "conn_rate" Rate false "connections per period";
    ConnCur "conn_cur" Number false "connections now";
    SessCnt "sess_cnt" Number false "sessions so far";
    SessRate "sess_rate" Rate false "sessions per period";
    HttpReqCnt "http_req_cnt" Number false "requests so far";
    HttpReqRate "http_req_rate" Rate false "requests per period";
    HttpErrCnt "http_err_cnt" Number false "errors of the client so far";
    HttpErrRate "http_err_rate" Rate false "errors of the client per period";
    BytesInCnt "bytes_in_cnt" Big false "bytes from the client so far";
    BytesInRate "bytes_in_rate" Rate false "bytes from the client per period";
    BytesOutCnt "bytes_out_cnt" Big false "bytes to the client so far";
    BytesOutRate "bytes_out_rate" Rate false "bytes to the client per period";
    Gpc1 "gpc1" Number false "a second counter for any use";
    Gpc1Rate "gpc1_rate" Rate false "increments of gpc1 per period";
    ServerKey "server_key" Name false "the name of the server the key is bound to";
    HttpFailCnt "http_fail_cnt" Number false "errors of servers so far";
    HttpFailRate "http_fail_rate" Rate false "errors of servers per period";
    Gpt "gpt" Number true "tags for any use";
    Gpc "gpc" Number true "counters for any use";
    GpcRate "gpc_rate" Rate true "increments of the counters per period";
    GlitchCnt "glitch_cnt" Number false "protocol glitches so far";
    GlitchRate "glitch_rate" Rate false "protocol glitches per period";
}

impl Data {
    /// The kind of this word.
    pub fn find(word: &str) -> Option<Data> {
        Data::ALL.iter().copied().find(|data| data.word() == word)
    }

    /// The kind and the place a word means to a user: `gpc3_rate` is the fourth of `gpc_rate`, `gpc` the first of `gpc`.
    pub fn find_at(word: &str) -> Option<(Data, usize)> {
        if let Some(data) = Data::find(word) {
            return Some((data, 0));
        }
        Data::ALL.iter().copied().filter(|data| data.is_array()).find_map(|data| {
            let (front, back) = data.word().split_at(3);
            let number = word.strip_prefix(front)?.strip_suffix(back)?;
            Some((data, number.parse().ok().filter(|n| *n < ARRAY_MAX)?))
        })
    }

    /// Words of memory it takes.
    fn words(self) -> usize {
        if self.form() == Form::Rate {
            2
        } else {
            1
        }
    }
}

/// Most elements of `gpc`, `gpt` and `gpc_rate`: as many as HAProxy takes.
pub const ARRAY_MAX: usize = 100;
/// Longest key in bytes.
pub const KEY_MAX: usize = 1024;
/// Most entries of a table: a position and its neighbours are numbers of 32 bits.
pub const SIZE_MAX: u32 = 1 << 30;

/// One kind of data a table keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Store {
    /// The kind.
    pub data: Data,
    /// How many of it; 1 for what is no array.
    pub count: usize,
    /// Milliseconds, for rates.
    pub period: u32,
}

/// A table as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// Name of the table: that of its proxy.
    pub name: String,
    /// Type of the keys.
    pub key: KeyType,
    /// Bytes of a key.
    pub len: usize,
    /// Most entries.
    pub size: u32,
    /// Milliseconds an entry lives without being touched.
    pub expire: Option<u32>,
    /// New keys are refused when it is full, instead of the oldest making room.
    pub nopurge: bool,
    /// What is kept per key, in the order of [`Data`].
    pub stores: Vec<Store>,
    /// `brates-factor`: how many bytes the rates of bytes count as one, so that they do not run over.
    pub brates_factor: u32,
    /// `srvkey`: what `server_key` says of a server.
    pub server_key: ServerKey,
    /// `write-to`: the place of the table that gets what others write into this one.
    pub write_to: Option<u16>,
}

/// What a server is known by in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerKey {
    /// Its name.
    Name,
    /// Its address and port.
    Addr,
}

impl Spec {
    /// A table that keeps nothing but its keys.
    pub fn new(name: &str, key: KeyType, len: usize, size: u32) -> Spec {
        Spec {
            name: name.into(),
            key,
            len,
            size,
            expire: None,
            nopurge: false,
            stores: Vec::new(),
            brates_factor: 1,
            server_key: ServerKey::Name,
            write_to: None,
        }
    }

    /// How many events one step of a rate stands for.
    pub fn factor(&self, data: Data) -> u64 {
        match data {
            Data::BytesInRate | Data::BytesOutRate => self.brates_factor.max(1).into(),
            _ => 1,
        }
    }

    /// The store of a kind, unless the table keeps none of it.
    pub fn store(&self, data: Data) -> Option<&Store> {
        self.stores.iter().find(|store| store.data == data)
    }

    /// Adds a kind unless it is kept already; the order stays that of [`Data`].
    pub fn keep(&mut self, store: Store) {
        if self.store(store.data).is_none() {
            self.stores.push(store);
            self.stores.sort_by_key(|store| store.data as u8);
        }
    }

    /// Words of an entry's key.
    pub(super) fn key_words(&self) -> usize {
        self.len.div_ceil(8)
    }

    /// Words of an entry's data, and where each kind begins among them.
    pub(super) fn data_words(&self) -> (usize, [u16; Data::ALL.len()]) {
        let mut at = 0;
        let mut places = [u16::MAX; Data::ALL.len()];
        for store in &self.stores {
            places[store.data as usize] = at as u16;
            at += store.data.words() * store.count;
        }
        (at, places)
    }

    /// Entries of both mean the same: memory of the one serves the other.
    pub(super) fn same_memory(&self, other: &Spec) -> bool {
        let stores = |spec: &Spec| spec.stores.clone();
        self.name == other.name
            && (self.key, self.len, self.size) == (other.key, other.len, other.size)
            && (self.brates_factor, self.server_key) == (other.brates_factor, other.server_key)
            && stores(self) == stores(other)
    }

    /// Bytes as a key of this table: cut to its length or padded with zeros.
    pub fn key_of(&self, bytes: &[u8]) -> Vec<u8> {
        let room = if self.key == KeyType::Str { self.len.saturating_sub(1) } else { self.len };
        let mut key = bytes.get(..room).unwrap_or(bytes).to_vec();
        if self.key == KeyType::Str {
            // what follows a NUL would not be seen in any text form
            key.truncate(key.iter().position(|b| *b == 0).unwrap_or(key.len()));
        }
        key.resize(self.len, 0);
        key
    }
}
