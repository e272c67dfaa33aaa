//! The log sink of a process, made from the plan.

use crate::event::log::envelope::Sender;
use crate::event::log::sink::{LogSink, Voice};
use crate::plan::Plan;

/// Opens what the `log` lines of the plan need, in the name of `pid`. To be called before the
/// process gives up its root directory.
pub fn open_sink(plan: &Plan, pid: u32) -> LogSink {
    let global = &plan.global;
    let sender = Sender { hostname: global.log_hostname.clone(), pid };
    let proxies = plan.proxies.iter().map(|proxy| Voice {
        targets: &proxy.logs,
        tag: proxy.log_tag.as_deref().unwrap_or(&global.log_tag),
    });
    LogSink::open(sender, Voice { targets: &global.logs, tag: &global.log_tag }, proxies)
}
