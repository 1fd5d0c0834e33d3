/* label: ops */
/* timeout: 300 */
/*
 * Random programs in the interpreter, scheduled and op by op: equal to the bit. And the programs that once were not.
 */
#include "fuzz/session.h"

#include <criterion/criterion.h>
