//! Variables: named values of the process, a session, a transaction, a request, a response or a check.
//!
//! Names become numbers at load time ([`VarNames`]); a [`Store`] is a short list searched by number.
//! Every store is bounded by `tune.vars.*`. Expressions read through [`Vars`]; what they change goes
//! through [`Effects`] and is applied by whoever evaluated them.

use std::borrow::Cow;
use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::sample::Value;
use crate::shm::vars::{SharedVars, VARS};
use crate::shm::Shared;

/// Where a variable lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Scope {
    /// The whole process.
    Proc,
    /// A client connection.
    Sess,
    /// A request and its response.
    Txn,
    /// While the request is handled.
    Req,
    /// While the response is handled.
    Res,
    /// A health check.
    Check,
}

impl Scope {
    /// Every scope with its word.
    pub const ALL: [(Scope, &'static str); 6] = [
        (Scope::Proc, "proc"),
        (Scope::Sess, "sess"),
        (Scope::Txn, "txn"),
        (Scope::Req, "req"),
        (Scope::Res, "res"),
        (Scope::Check, "check"),
    ];
}

/// A variable of the configuration: its scope and the number of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Var {
    /// Where it lives.
    pub scope: Scope,
    /// Index into [`VarNames`].
    pub id: u32,
}

/// All variables the configuration names. Kept in the plan for `get var` and `show sess`.
#[derive(Clone, Debug, Default)]
pub struct VarNames {
    names: Vec<(Scope, Box<str>)>,
}

impl VarNames {
    /// The number of `scope.name`, made when it is new. Errors say what is wrong with the name.
    pub fn intern(&mut self, text: &str) -> Result<Var, String> {
        let (scope, name) = split(text)?;
        if let Some(var) = self.lookup(scope, name) {
            return Ok(var);
        }
        if self.names.len() >= NAMES_MAX {
            return Err(format!("more than {NAMES_MAX} variables"));
        }
        self.names.push((scope, name.into()));
        Ok(Var { scope, id: (self.names.len() - 1) as u32 })
    }

    /// The variable called `scope.name`, if the configuration knows it.
    pub fn find(&self, text: &str) -> Option<Var> {
        let (scope, name) = split(text).ok()?;
        self.lookup(scope, name)
    }

    /// Variables there are, of all scopes.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Some belong to the whole service.
    pub fn has_shared(&self) -> bool {
        self.names.iter().any(|(scope, _)| *scope == Scope::Proc)
    }

    /// `scope.name` of a variable.
    pub fn name(&self, var: Var) -> String {
        let word = Scope::ALL.iter().find(|(s, _)| *s == var.scope).map_or("", |(_, w)| w);
        self.names.get(var.id as usize).map_or_else(String::new, |(_, name)| format!("{word}.{name}"))
    }

    fn lookup(&self, scope: Scope, name: &str) -> Option<Var> {
        let id = self.names.iter().position(|(s, n)| *s == scope && **n == *name)?;
        Some(Var { scope, id: id as u32 })
    }
}

fn split(text: &str) -> Result<(Scope, &str), String> {
    let Some((scope, name)) = text.split_once('.') else {
        return Err(format!("variable \"{text}\" needs a scope, as in txn.{text}"));
    };
    let Some((scope, _)) = Scope::ALL.iter().find(|(_, word)| *word == scope) else {
        return Err(format!(
            "unknown scope \"{scope}\" of a variable, expected proc, sess, txn, req, res or check"
        ));
    };
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    {
        return Err(format!("variable name \"{text}\" may only hold letters, digits, \".\" and \"_\""));
    }
    Ok((*scope, name))
}

/// The variables of one object.
#[derive(Clone, Debug, Default)]
pub struct Store {
    items: Vec<(u32, Value)>,
    bytes: usize,
    /// Bytes it may hold, 0: [`STORE_BYTES_MAX`].
    pub limit: usize,
}

impl Store {
    /// An empty store bounded by `limit` bytes (0: the built-in bound).
    pub fn with_limit(limit: usize) -> Self {
        Store { limit, ..Self::default() }
    }

    /// The value of a variable.
    pub fn get(&self, id: u32) -> Option<&Value> {
        self.items.iter().find(|(i, _)| *i == id).map(|(_, value)| value)
    }

    /// Bytes that setting a variable would add.
    fn growth(&self, id: u32, value: &Value) -> usize {
        let old = self.get(id).map_or(0, |value| ITEM_BYTES + value.heap());
        (ITEM_BYTES + value.heap()).saturating_sub(old)
    }

    /// Whether so many bytes more keep it within its limit, `inner` being what stores within it hold.
    fn takes(&self, more: usize, inner: usize) -> bool {
        let limit = if self.limit == 0 { STORE_BYTES_MAX } else { self.limit };
        more == 0 || self.bytes + inner + more <= limit
    }

    /// Sets a variable; false when there is no room (the variable keeps its old value).
    pub fn set(&mut self, id: u32, value: Value) -> bool {
        if !self.takes(self.growth(id, &value), 0) {
            return false;
        }
        let new = ITEM_BYTES + value.heap();
        let slot = self.items.iter_mut().find(|(i, _)| *i == id);
        let old = slot.as_ref().map_or(0, |(_, value)| ITEM_BYTES + value.heap());
        self.bytes = self.bytes - old + new;
        match slot {
            Some((_, place)) => *place = value,
            None => self.items.push((id, value)),
        }
        true
    }

    /// Forgets a variable.
    pub fn unset(&mut self, id: u32) {
        if let Some(at) = self.items.iter().position(|(i, _)| *i == id) {
            let (_, value) = self.items.swap_remove(at);
            self.bytes -= ITEM_BYTES + value.heap();
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.items.clear();
        self.bytes = 0;
    }

    /// Every variable it holds.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Value)> {
        self.items.iter().map(|(id, value)| (*id, value))
    }
}

/// The stores an expression may read. Request and response share one store that is cleared in between:
/// their names never meet, as each name carries its scope.
#[derive(Clone, Copy, Default)]
pub struct Vars<'a> {
    /// `proc.*`
    pub proc: Option<&'a ProcVars>,
    /// `sess.*`
    pub sess: Option<&'a Store>,
    /// `txn.*`
    pub txn: Option<&'a Store>,
    /// `req.*`, `res.*`
    pub msg: Option<&'a Store>,
    /// `check.*`
    pub check: Option<&'a Store>,
}

impl<'a> Vars<'a> {
    /// The value of a variable.
    pub fn get(&self, var: Var) -> Option<Cow<'a, Value>> {
        let store = match var.scope {
            Scope::Proc => return self.proc?.get(var.id).map(Cow::Owned),
            Scope::Sess => self.sess,
            Scope::Txn => self.txn,
            Scope::Req | Scope::Res => self.msg,
            Scope::Check => self.check,
        };
        store?.get(var.id).map(Cow::Borrowed)
    }
}

/// The stores an action may change.
#[derive(Default)]
pub struct VarsMut<'a> {
    /// `proc.*`
    pub proc: Option<&'a ProcVars>,
    /// `sess.*`
    pub sess: Option<&'a mut Store>,
    /// `txn.*`
    pub txn: Option<&'a mut Store>,
    /// `req.*`, `res.*`
    pub msg: Option<&'a mut Store>,
    /// `check.*`
    pub check: Option<&'a mut Store>,
}

impl VarsMut<'_> {
    /// For reading.
    pub fn view(&self) -> Vars<'_> {
        Vars {
            proc: self.proc,
            sess: self.sess.as_deref(),
            txn: self.txn.as_deref(),
            msg: self.msg.as_deref(),
            check: self.check.as_deref(),
        }
    }

    /// Sets a variable; false when there is no room or no such scope here.
    pub fn set(&mut self, var: Var, value: Value) -> bool {
        if var.scope == Scope::Proc {
            return self.proc.is_some_and(|proc| proc.set(var.id, &value));
        }
        self.fits(var, &value) && self.store(var.scope).is_some_and(|store| store.set(var.id, value))
    }

    /// Limits hold for what lies within as well: that of a session for its transaction, that of a transaction for its
    /// request and its answer.
    fn fits(&mut self, var: Var, value: &Value) -> bool {
        let Some(more) = self.store(var.scope).map(|store| store.growth(var.id, value)) else { return false };
        let bytes = |store: &Option<&mut Store>| store.as_ref().map_or(0, |store| store.bytes);
        let (msg, txn) = (bytes(&self.msg), bytes(&self.txn));
        let takes =
            |store: &Option<&mut Store>, inner| store.as_ref().is_none_or(|store| store.takes(more, inner));
        match var.scope {
            Scope::Proc | Scope::Check => true,
            Scope::Sess => takes(&self.sess, txn + msg),
            Scope::Txn => takes(&self.txn, msg) && takes(&self.sess, txn + msg),
            Scope::Req | Scope::Res => takes(&self.txn, msg) && takes(&self.sess, txn + msg),
        }
    }

    /// Forgets a variable.
    pub fn unset(&mut self, var: Var) {
        if let (Scope::Proc, Some(proc)) = (var.scope, self.proc) {
            proc.unset(var.id);
        }
        if let Some(store) = self.store(var.scope) {
            store.unset(var.id);
        }
    }

    fn store(&mut self, scope: Scope) -> Option<&mut Store> {
        match scope {
            Scope::Proc => None,
            Scope::Sess => self.sess.as_deref_mut(),
            Scope::Txn => self.txn.as_deref_mut(),
            Scope::Req | Scope::Res => self.msg.as_deref_mut(),
            Scope::Check => self.check.as_deref_mut(),
        }
    }
}

/// The variables of the whole service: all processes see the same values.
#[derive(Clone, Debug, Default)]
pub struct ProcVars {
    cells: Option<SharedVars>,
    limit: usize,
}

impl ProcVars {
    /// Those of a configuration, bounded by `limit` bytes (0: none) all together.
    pub fn attach(shm: &Shared, limit: usize) -> ProcVars {
        ProcVars { cells: shm.extra(VARS).map(SharedVars::attach), limit }
    }

    /// The value of a variable.
    pub fn get(&self, id: u32) -> Option<Value> {
        let (kind, bytes) = self.cells.as_ref()?.get(id)?;
        Some(match kind {
            1 => Value::Bool(bytes.first().is_some_and(|byte| *byte != 0)),
            2 => Value::Int(i64::from_le_bytes(bytes.try_into().ok()?)),
            3 => Value::Ip4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
            4 => Value::Ip6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
            5 => Value::Str(bytes.into()),
            6 => Value::Bin(bytes.into()),
            _ => Value::Meth(bytes.into()),
        })
    }

    /// Sets a variable; false when there is no room, or its value is too long to be shared.
    pub fn set(&self, id: u32, value: &Value) -> bool {
        let Some(cells) = &self.cells else { return false };
        let room = (ITEM_BYTES, self.limit);
        match value {
            Value::Bool(b) => cells.set(id, 1, &[u8::from(*b)], room),
            Value::Int(n) => cells.set(id, 2, &n.to_le_bytes(), room),
            Value::Ip4(ip) => cells.set(id, 3, &ip.octets(), room),
            Value::Ip6(ip) => cells.set(id, 4, &ip.octets(), room),
            Value::Str(bytes) => cells.set(id, 5, bytes, room),
            Value::Bin(bytes) => cells.set(id, 6, bytes, room),
            Value::Meth(bytes) => cells.set(id, 7, bytes, room),
        }
    }

    /// Forgets a variable.
    pub fn unset(&self, id: u32) {
        if let Some(cells) = &self.cells {
            cells.unset(id, ITEM_BYTES);
        }
    }
}

/// A change an expression asks for while it is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// `set-var` as a converter.
    Set(Var, Value),
    /// `unset-var` as a converter.
    Unset(Var),
    /// `capture-req`: fill this request slot.
    CaptureReq(u32, Box<[u8]>),
    /// `capture-res`: fill this response slot.
    CaptureRes(u32, Box<[u8]>),
}

/// Changes waiting to be applied. Later parts of the same expression already see them.
#[derive(Default)]
pub struct Effects(Cell<Vec<Effect>>);

impl Effects {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; beyond the bound it is dropped.
    pub fn push(&self, effect: Effect) {
        let mut list = self.0.take();
        if list.len() < EFFECTS_MAX {
            list.push(effect);
        }
        self.0.set(list);
    }

    /// True when nothing is pending.
    pub fn is_empty(&self) -> bool {
        let list = self.0.take();
        let empty = list.is_empty();
        self.0.set(list);
        empty
    }

    /// Takes all of them.
    pub fn take(&self) -> Vec<Effect> {
        self.0.take()
    }

    /// The pending value of a variable: `None` when nothing is pending, `Some(None)` when it was unset.
    pub fn pending(&self, var: Var) -> Option<Option<Value>> {
        let list = self.0.take();
        let found = list.iter().rev().find_map(|effect| match effect {
            Effect::Set(v, value) if *v == var => Some(Some(value.clone())),
            Effect::Unset(v) if *v == var => Some(None),
            _ => None,
        });
        self.0.set(list);
        found
    }
}

/// Names a configuration may hold.
const NAMES_MAX: usize = 100_000;
/// Bytes a store may hold when `tune.vars.*` says nothing.
const STORE_BYTES_MAX: usize = 1 << 20;
/// What one variable counts beyond its bytes.
const ITEM_BYTES: usize = size_of::<(u32, Value)>();
/// Changes one evaluation may ask for.
const EFFECTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_scopes() {
        let mut names = VarNames::default();
        let a = names.intern("txn.a").unwrap();
        let b = names.intern("sess.a").unwrap();
        assert_eq!(names.intern("txn.a").unwrap(), a);
        assert_ne!(a.id, b.id);
        assert_eq!(names.name(b), "sess.a");
        assert_eq!(names.find("req.a"), None);
        for bad in ["a", "foo.a", "txn.", "txn.a b", ".a"] {
            assert!(names.intern(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stores_are_bounded() {
        let mut store = Store::with_limit(3 * ITEM_BYTES + 10);
        assert!(store.set(1, Value::Str(b"0123456789"[..].into())));
        assert!(store.set(2, Value::Int(1)));
        assert!(!store.set(2, Value::Str(vec![0; 100].into())));
        assert_eq!(store.get(2), Some(&Value::Int(1)));
        assert!(store.set(1, Value::Bool(true)) && store.set(3, Value::Str(b"0123456789"[..].into())));
        store.unset(3);
        store.unset(9);
        assert_eq!(store.bytes, 2 * ITEM_BYTES);
        store.clear();
        assert_eq!((store.bytes, store.get(1)), (0, None));
    }

    #[test]
    fn limits_hold_for_what_lies_within() {
        let var = |scope| Var { scope, id: 1 };
        let text = |n: usize| Value::Str(vec![b'x'; n].into());
        let mut stores = [40 + 2 * ITEM_BYTES, 30 + ITEM_BYTES, 20 + ITEM_BYTES].map(Store::with_limit);
        let [sess, txn, msg] = &mut stores;
        let mut vars = VarsMut { sess: Some(sess), txn: Some(txn), msg: Some(msg), ..VarsMut::default() };
        assert!(!vars.set(var(Scope::Req), text(21)) && vars.set(var(Scope::Req), text(20)));
        assert!(!vars.set(var(Scope::Txn), Value::Int(1)), "the request has taken all");
        assert!(vars.set(var(Scope::Sess), text(20)));
        assert!(!vars.set(var(Scope::Sess), text(21)));
        assert_eq!(vars.view().get(var(Scope::Sess)).as_deref(), Some(&text(20)));
        vars.unset(var(Scope::Req));
        assert!(vars.set(var(Scope::Txn), text(20)) && !vars.set(var(Scope::Txn), text(21)));
        assert!(!vars.set(var(Scope::Proc), text(1)) && !vars.set(var(Scope::Check), text(1)));
    }

    #[test]
    fn effects_are_seen_before_they_are_applied() {
        let effects = Effects::new();
        let var = Var { scope: Scope::Txn, id: 4 };
        assert_eq!(effects.pending(var), None);
        effects.push(Effect::Set(var, Value::Int(1)));
        assert_eq!(effects.pending(var), Some(Some(Value::Int(1))));
        effects.push(Effect::Unset(var));
        assert_eq!(effects.pending(var), Some(None));
        assert_eq!(effects.take().len(), 2);
        assert_eq!(effects.pending(var), None);
    }
}
