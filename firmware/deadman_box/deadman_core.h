// Protocol core of the dead-man box: no Arduino calls, no heap, no waiting. See docs/deadman-box.md.
//
// Whoever owns a DeadmanCore calls poll() as often as it can (every millisecond is plenty), hands over every received
// byte with feed(), sets the relay coil to coil() after each of them, and sends reply() where hasReply() says so.
//
// This is no safety function in the sense of a standard. The laser's own hardware interlock is.

#ifndef DEADMAN_CORE_H
#define DEADMAN_CORE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef DEADMAN_SERIAL
#define DEADMAN_SERIAL "0001"
#endif
#define DEADMAN_FIRMWARE "1.0"

class DeadmanCore {
 public:
  enum State : uint8_t { OPEN, CLOSED, FAULT };
  enum Reason : uint8_t { RESET, COMMAND, TIMEOUT, MALFORMED, SEQUENCE, INTERLOCK, CONTACT };

  static const uint16_t TOGGLE_TIMEOUT_MS = 500;
  static const uint16_t CONTACT_SETTLE_MS = 50;
  static const uint8_t LINE_LIMIT = 8;
  static const uint8_t REPLY_SIZE = 48;

  DeadmanCore() { reset(0); }

  // What power-up, brown-out, watchdog and the reset button do alike: contact open, everything forgotten.
  void reset(uint32_t now) {
    state_ = OPEN;
    reason_ = RESET;
    trips_ = 0;
    streak_ = 0;
    counter_ = 0;
    last_ = now;
    seen_ = false;
    length_ = 0;
    bad_ = false;
    carriage_ = false;
    hasReply_ = false;
    contact_ = false;
    door_ = false;
    agreed_ = now;
    now_ = now;
  }

  // Look at the clock and at the inputs. contact: the released-loop says that a relay is not released.
  // door: the door loop is closed.
  void poll(uint32_t now, bool contact, bool door) {
    now_ = now;
    contact_ = contact;
    door_ = door;
    const uint32_t age = now - last_;
    if (streak_ > 0 && age > TOGGLE_TIMEOUT_MS) {
      streak_ = 0;
      open(TIMEOUT);
    }
    if (age > 65000UL) seen_ = false;  // long before the millisecond counter wraps
    if (!door) open(INTERLOCK);
    if (contact == coil()) {
      agreed_ = now;
    } else if (now - agreed_ > CONTACT_SETTLE_MS && state_ != FAULT) {
      open(CONTACT);
      state_ = FAULT;
      reason_ = CONTACT;
    }
  }

  // Take one received byte. At most one reply results; send it before the next byte.
  void feed(uint8_t byte) {
    if (byte == '\n') {
      line_[length_] = '\0';
      const bool bad = bad_;
      const uint8_t length = length_;
      length_ = 0;
      bad_ = carriage_ = false;
      if (bad) {
        answer('N');
      } else {
        obey(length);
      }
      return;
    }
    if (bad_) return;
    if (carriage_ || (byte != '\r' && (byte < 0x20 || byte > 0x7E || length_ == LINE_LIMIT))) {
      bad_ = true;
      malformed();
    } else if (byte == '\r') {
      carriage_ = true;
    } else {
      line_[length_++] = static_cast<char>(byte);
    }
  }

  bool coil() const { return state_ == CLOSED; }
  bool hasReply() const { return hasReply_; }

  // The reply, LF included; it is forgotten with this call.
  const char *reply() {
    hasReply_ = false;
    return reply_;
  }

  static uint8_t crc8(const char *text, uint8_t length) {  // polynomial 0x07, start 0x00: "123456789" gives 0xF4
    uint8_t crc = 0;
    for (uint8_t at = 0; at < length; at++) {
      crc ^= static_cast<uint8_t>(text[at]);
      for (uint8_t bit = 0; bit < 8; bit++) crc = (crc & 0x80) ? (crc << 1) ^ 0x07 : crc << 1;
    }
    return crc;
  }

 private:
  void open(Reason reason) {
    if (state_ != CLOSED) return;
    state_ = OPEN;
    reason_ = reason;
    if (reason != COMMAND && trips_ < 65535U) trips_++;
  }

  void malformed() {
    streak_ = 0;
    open(MALFORMED);
  }

  void obey(uint8_t length) {
    if (length == 1 && line_[0] == '?') {
      answer('S');
    } else if (length == 1 && line_[0] == 'O') {
      open(COMMAND);
      answer('S');
    } else if (length == 1 && line_[0] == 'I') {
      identify();
    } else if (length == 3 && line_[0] == 'A' && checked(1)) {
      answer(arm() ? 'S' : 'R');
    } else if (length == 5 && line_[0] == 'T' && hex(1) >= 0 && checked(3)) {
      toggle(static_cast<uint8_t>(hex(1)));
    } else {
      malformed();
      answer('N');
    }
  }

  bool arm() {
    if (state_ == CLOSED) return true;
    if (state_ == FAULT || streak_ < 2 || !door_) return false;
    state_ = CLOSED;
    return true;
  }

  void toggle(uint8_t counter) {
    const bool follows = streak_ > 0 && counter == static_cast<uint8_t>(counter_ + 1);
    if (follows) {
      streak_ = 2;
    } else {
      open(SEQUENCE);
      streak_ = 1;
    }
    counter_ = counter;
    last_ = now_;
    seen_ = true;
  }

  // Two upper-case hexadecimal digits at this place, or -1.
  int16_t hex(uint8_t at) const {
    int16_t value = 0;
    for (uint8_t end = at + 2; at < end; at++) {
      const char digit = line_[at];
      if (digit >= '0' && digit <= '9') {
        value = value * 16 + (digit - '0');
      } else if (digit >= 'A' && digit <= 'F') {
        value = value * 16 + (digit - 'A' + 10);
      } else {
        return -1;
      }
    }
    return value;
  }

  bool checked(uint8_t length) const { return hex(length) == crc8(line_, length); }

  void answer(char kind) {
    static const char *const STATES[] = {"OPEN", "CLOSED", "FAULT"};
    static const char *const REASONS[] = {"RESET",    "COMMAND",   "TIMEOUT", "MALFORMED",
                                          "SEQUENCE", "INTERLOCK", "CONTACT"};
    const unsigned age = seen_ ? static_cast<unsigned>(now_ - last_) : 65535U;
    finish(snprintf(reply_, REPLY_SIZE, "%c,%s,%s,%u,%u,%d,%d,%d", kind, STATES[state_], REASONS[reason_],
                    static_cast<unsigned>(trips_), age, coil(), contact_, door_));
  }

  void identify() { finish(snprintf(reply_, REPLY_SIZE, "I,nanolab,deadman-box,%s,%s", DEADMAN_SERIAL, DEADMAN_FIRMWARE)); }

  void finish(int length) {
    snprintf(reply_ + length, REPLY_SIZE - length, "*%02X\n", crc8(reply_, static_cast<uint8_t>(length)));
    hasReply_ = true;
  }

  State state_;
  Reason reason_;
  uint16_t trips_;
  uint8_t streak_;   // valid toggles in sequence, counted up to 2
  uint8_t counter_;  // of the last valid toggle
  uint32_t last_;    // when it came
  bool seen_;
  char line_[LINE_LIMIT + 1];
  uint8_t length_;
  bool bad_;
  bool carriage_;
  char reply_[REPLY_SIZE];
  bool hasReply_;
  bool contact_;
  bool door_;
  uint32_t agreed_;  // when coil and read-back last agreed
  uint32_t now_;
};

#endif
