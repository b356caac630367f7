/* The loops over records in librdkafka's memory.
 *
 * Plain C, called by ctypes without the GIL; kernel.py declares it to Python. Nothing is allocated here, and
 * nothing is read but what librdkafka's messages point to.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Source: librdkafka's rdkafka.h, rd_kafka_message_t; part of its stable interface. */
typedef struct {
    int32_t err;
    void *rkt;
    int32_t partition;
    const uint8_t *payload;
    size_t len;
    const uint8_t *key;
    size_t key_len;
    int64_t offset;
    void *private_;
} message_t;

/* Functions of the librdkafka that the process has loaded. */
typedef struct {
    int64_t (*timestamp)(const message_t *, int *kind);
    int32_t (*headers)(const message_t *, void **headers);
    void (*destroy)(message_t *);
} librdkafka_t;

/* What a survey says of a message: kernel.py's ROW. */
typedef struct {
    int64_t error;
    void *topic;
    int64_t partition;
    int64_t offset;
    int64_t timestamp; /* milliseconds since 1970 */
    int64_t size;      /* of key and value together */
    int64_t traits;
} row_t;

enum { HEADERS = 1, NO_KEY = 2, NO_VALUE = 4 };
enum { NOENT = -156 }; /* librdkafka's answer for a message without headers; another one: they are damaged */

/* Addresses and sizes are 64-bit numbers to Python, and rows are read as seven of them. */
_Static_assert(sizeof(void *) == 8 && sizeof(message_t) == 72 && sizeof(row_t) == 7 * 8, "a 64-bit machine");

/* Which layout of rows this library was compiled with: kernel.py's LAYOUT. */
int64_t layout(void) { return 1; }

/* Fill a row for each message. How many stretches there are: messages of one partition, or one message that
 * carries an error. Each begins at one of `cuts`. */
int64_t survey(const librdkafka_t *c, message_t *const *messages, int64_t count, row_t *rows, int64_t *cuts) {
    int64_t stretches = 0;
    for (int64_t i = 0; i < count; i++) {
        const message_t *message = messages[i];
        row_t *row = &rows[i];
        memset(row, 0, sizeof *row);
        row->error = message->err;
        row->topic = message->rkt;
        row->partition = message->partition;
        row->offset = message->offset;
        if (!message->err) {
            int kind;
            void *headers;
            row->timestamp = c->timestamp(message, &kind);
            row->size = (int64_t)(message->len + message->key_len);
            row->traits = (c->headers(message, &headers) == NOENT ? 0 : HEADERS) | (message->key ? 0 : NO_KEY) |
                          (message->payload ? 0 : NO_VALUE);
        }
        if (i == 0 || row->error || row[-1].error || row->topic != row[-1].topic ||
            row->partition != row[-1].partition)
            cuts[stretches++] = i;
    }
    return stretches;
}

/* Avro's long; where it ends. Source: the Avro specification, "Primitive Types". */
static uint8_t *put_long(int64_t number, uint8_t *out) {
    uint64_t rest = ((uint64_t)number << 1) ^ (uint64_t)(number >> 63);
    while (rest > 0x7F) {
        *out++ = (uint8_t)(rest & 0x7F) | 0x80;
        rest >>= 7;
    }
    *out++ = (uint8_t)rest;
    return out;
}

static uint8_t *put_bytes(const uint8_t *bytes, size_t size, uint8_t *out) {
    memcpy(out, bytes, size);
    return out + size;
}

static int begins(const uint8_t *bytes, size_t size, const uint8_t *prefix, size_t length) {
    return size >= length && memcmp(bytes, prefix, length) == 0;
}

/* Write the messages as a segment holds records; how many bytes that are.
 *
 * None of them has headers, all have a value that begins with the first one's first `prefix` bytes, which are
 * left out, and a key that begins with the first one's first `key_prefix` bytes, or none if that is 0. -1 if one
 * differs. `out` has room for each one's size and kernel.py's MORE. */
int64_t splice(message_t *const *messages, const row_t *rows, int64_t count, size_t key_prefix, size_t prefix,
               uint8_t *out) {
    uint8_t *at = out;
    for (int64_t i = 0; i < count; i++) {
        const message_t *message = messages[i];
        if (!begins(message->payload, message->len, messages[0]->payload, prefix))
            return -1;
        at = put_long(rows[i].offset, at);
        at = put_long(rows[i].timestamp, at);
        if (key_prefix) {
            if (!begins(message->key, message->key_len, messages[0]->key, key_prefix))
                return -1;
            *at++ = 2;
            at = put_long((int64_t)message->key_len, at);
            at = put_bytes(message->key, message->key_len, at);
        } else {
            *at++ = 0;
        }
        *at++ = 0; /* no headers */
        *at++ = 2; /* a value */
        at = put_bytes(message->payload + prefix, message->len - prefix, at);
    }
    return at - out;
}

/* Give the messages back. */
void destroy(const librdkafka_t *c, message_t **messages, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        c->destroy(messages[i]);
}
