// zlib and libzstd as Debian ships them; files are read and written through them.
#include <zlib.h>
#include <zstd.h>
