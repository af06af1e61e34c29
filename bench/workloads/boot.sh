# From power-on to the first process and to power-off again: bench/compare takes the whole run.
work() { :; }
