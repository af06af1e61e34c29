// The handlers that rows with vector operations share with others (cpu/sse/row_parts.h), for any host.
#define BHVM_SHARED template

#include "cpu/sse/row_parts.h"
