//! Floor 5: text to plan; the data path never sees it. Imports lang, expr, plan, act, balance.
