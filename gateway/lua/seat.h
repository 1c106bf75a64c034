/* What a seat of the chain points at: a userdata's block, told apart by its first word. */
#ifndef WEIR_LUA_SEAT_H
#define WEIR_LUA_SEAT_H

enum {
    SEAT_CONN = 0x636f6e6e,   /* "conn": struct api_conn */
    SEAT_REQUEST = 0x72657175 /* "requ": struct api_request */
};

#endif
