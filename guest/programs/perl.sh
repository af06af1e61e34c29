#!/bin/bash
# perl: text, numbers, digests, processes.
. "$(dirname "$0")/lib.sh"
expect_output "perl.pl" perl.expected perl "$programs/perl.pl"
finish
