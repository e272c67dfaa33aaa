//! Floor 7: streams, their two channels and analysers. Imports net, expr, plan.
