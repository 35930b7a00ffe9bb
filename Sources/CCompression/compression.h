// zlib and libzstd as Debian ships them; only Connectors reads compressed files.
#include <zlib.h>
#include <zstd.h>
