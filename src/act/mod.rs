//! Floor 4: the families of actions. Imports plan.
