//! Floor 4: the balancing algorithms. Imports plan.
