// Dead-man box for a laser: a relay that stays closed only while a program proves that it is alive.
// Arduino Uno or Nano (ATmega328P, 16 MHz), USB serial 115200 baud, 8N1. Protocol and wiring: docs/deadman-box.md.
//
// This is no safety function in the sense of a standard. The laser's own hardware interlock is.

#include <Arduino.h>
#include <avr/wdt.h>

#include "deadman_core.h"

static const uint8_t PIN_RELEASED_LOOP = 2;  // both NC contacts in series to GND: LOW while both relays are released
static const uint8_t PIN_DOOR_LOOP = 3;      // door switch to GND: LOW while closed; a wire to GND where there is none
static const uint8_t PIN_RELAY_1 = 4;        // HIGH pulls the relay in; 10 kOhm to GND keeps it released during reset
static const uint8_t PIN_RELAY_2 = 5;

static DeadmanCore core;

static void setRelays() {
  const uint8_t level = core.coil() ? HIGH : LOW;
  digitalWrite(PIN_RELAY_1, level);
  digitalWrite(PIN_RELAY_2, level);
  digitalWrite(LED_BUILTIN, level);
}

void setup() {
  digitalWrite(PIN_RELAY_1, LOW);  // before the pins become outputs
  digitalWrite(PIN_RELAY_2, LOW);
  pinMode(PIN_RELAY_1, OUTPUT);
  pinMode(PIN_RELAY_2, OUTPUT);
  pinMode(LED_BUILTIN, OUTPUT);
  pinMode(PIN_RELEASED_LOOP, INPUT_PULLUP);
  pinMode(PIN_DOOR_LOOP, INPUT_PULLUP);
  wdt_enable(WDTO_120MS);  // a program that hangs is reset, and a reset releases the relays
  Serial.begin(115200);
  core.reset(millis());
}

void loop() {
  wdt_reset();
  core.poll(millis(), digitalRead(PIN_RELEASED_LOOP) == HIGH, digitalRead(PIN_DOOR_LOOP) == LOW);
  setRelays();
  if (core.hasReply()) {
    // never wait: a reply that does not fit yet goes later, and no byte is read before it has gone
    if (Serial.availableForWrite() >= DeadmanCore::REPLY_SIZE) Serial.print(core.reply());
  } else if (Serial.available() > 0) {
    core.feed(static_cast<uint8_t>(Serial.read()));
    setRelays();
  }
}
