# Writes a text file as a C string constant.
#   cmake -DINPUT=dir/gemm_simd.cl -DOUTPUT=out.c -P embed.cmake        ->   const char wg_text_gemm_simd[] = "...";
file(READ "${INPUT}" text)
get_filename_component(name "${INPUT}" NAME_WE)

string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "??" "?\\?" text "${text}") # no trigraphs
string(REPLACE "\t" "\\t" text "${text}")
string(REPLACE "\r" "" text "${text}")
string(REPLACE "\n" "\\n\"\n    \"" text "${text}")

file(WRITE "${OUTPUT}" "/* Generated from ${name}. */
#include \"kernels/texts.h\"

const char wg_text_${name}[] =
    \"${text}\";
")
