// SQLite as Debian ships it; stores are exported into its files.
#include <sqlite3.h>
