/*
 * The version of the headers; wg_version() gives the version of the library that was loaded.
 * Versions follow semver; the so-version is the major number.
 */
#ifndef WENGERT_VERSION_H
#define WENGERT_VERSION_H

#include <wengert/types.h>

#define WG_VERSION_MAJOR 0
#define WG_VERSION_MINOR 1
#define WG_VERSION_PATCH 0
#define WG_VERSION_STRING "0.1.0"

WG_BEGIN_DECLS

/* "0.1.0". Static storage, never NULL. */
WG_API const char *wg_version(void);

WG_END_DECLS

#endif
