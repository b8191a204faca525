/* What configure would find out. */
#include <stdint.h>
