# Matrix product and n-body, double precision, in C.
work() { "$here/bin/float"; }
