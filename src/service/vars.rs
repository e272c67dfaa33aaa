//! Variables of the service: what `set-var` of the global section begins with (before the first fork), and what
//! `set var` on the command socket sets.

use crate::base::ids::ProxyId;
use crate::expr::sample::Value;
use crate::expr::vars::{Effects, ProcVars, Var, Vars};
use crate::expr::view::{ConnFacts, Facts, Txn, World};
use crate::plan::{Plan, StartValue};
use crate::shm::Shared;

/// There are no proxies yet.
struct Nowhere;

impl World for Nowhere {}

/// Sets them in order: one may look at those before it.
pub fn set_start_values(plan: &Plan, shm: &Shared, now_us: u64) {
    for (var, value) in &plan.start_vars {
        if !set(*var, value, plan, shm, now_us) {
            log::warn!("set-var {}: there is no value, or it does not fit", plan.vars.name(*var));
        }
    }
}

/// Sets one; false: the expression has no value, or it does not fit.
pub fn set(var: Var, value: &StartValue, plan: &Plan, shm: &Shared, now_us: u64) -> bool {
    let proc_vars = ProcVars::attach(shm, plan.global.tune.vars.shared());
    let (conn, txn, effects) = (ConnFacts::default(), Txn::new(ProxyId(0)), Effects::new());
    let vars = Vars { proc: Some(&proc_vars), ..Vars::default() };
    let facts = Facts { date_us: now_us, ..Facts::bare(&conn, &txn, vars, &effects, &plan.maps, &Nowhere) };
    let value = match value {
        StartValue::Expr(expr) => expr.eval(&facts).now().map(|sample| sample.to_value()),
        StartValue::Text(text) => {
            let mut out = Vec::new();
            text.write(&facts, &mut out);
            Some(Value::Str(out.into()))
        }
    };
    value.is_some_and(|value| proc_vars.set(var.id, &value))
}
