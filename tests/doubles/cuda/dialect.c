/*
 * One text, two languages. A program's text is: CUDA's prelude, a number, CUDA's lanes, and then what NVRTC and OpenCL
 * compile alike. Here OpenCL's prelude and lanes take the place of CUDA's; both come from the library itself, so that POCL
 * runs the very text that NVRTC compiles, but for these two parts.
 */
#include "double.h"

#include "kernels/texts.h"
#include "opencl/internal.h"

#include <stdlib.h>
#include <string.h>

static const char PRELUDE_ENDS[] = "// end of the CUDA prelude\n";                      /* the prelude's last line */
static const char LANES_BEGIN[] = "// The lane vocabulary, one lane wide, in CUDA C++"; /* lanes_cuda.cuh's first */
static const char LANES_END[] = "// lanes_common.cl";                                   /* lanes_common.cl's first */

char *cd_dialect(const char *text) {
    const char *prelude = wg_cl_prelude(NULL);
    const char *rest = strstr(text, PRELUDE_ENDS);
    if (!rest) {
        return NULL;
    }
    rest += sizeof PRELUDE_ENDS - 1;
    char *out = cd_alloc_or_die(strlen(prelude) + strlen(text) + strlen(wg_text_lanes_simt) + 1);
    strcpy(out, prelude);
    const char *lanes = strstr(rest, LANES_BEGIN), *after = lanes ? strstr(lanes, LANES_END) : NULL;
    if (after) {
        strncat(out, rest, (size_t)(lanes - rest));
        strcat(out, wg_text_lanes_simt);
        rest = after;
    }
    return strcat(out, rest);
}
