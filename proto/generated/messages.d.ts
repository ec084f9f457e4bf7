import * as $protobuf from "protobufjs/minimal.js";
import Long = require("long");

/** Namespace holdwire. */
export namespace holdwire {

    /** Namespace v1. */
    namespace v1 {

        /**
         * Properties of an Envelope.
         * @deprecated Use holdwire.v1.Envelope.$Properties instead.
         */
        interface IEnvelope extends holdwire.v1.Envelope.$Properties {
        }

        /** Represents an Envelope. */
        class Envelope {

            /**
             * Constructs a new Envelope.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Envelope.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Envelope id. */
            id: string;

            /** Envelope from. */
            from: string;

            /** Envelope topic. */
            topic: string;

            /** Envelope time. */
            time: number;

            /** Envelope expires. */
            expires: number;

            /** Envelope collapseKey. */
            collapseKey: string;

            /** Envelope onlySession. */
            onlySession: string;

            /** Envelope xml. */
            xml: Uint8Array;

            /** Envelope resource. */
            resource: string;

            /** Envelope sent. */
            sent: boolean;

            /** Envelope uncopied. */
            uncopied: boolean;

            /** Envelope native. */
            native?: (holdwire.v1.NativePresence.$Properties|null);

            /** Envelope data. */
            data?: (Uint8Array|null);

            /** Envelope presence. */
            presence?: (holdwire.v1.Presence.$Properties|null);

            /** Envelope roster. */
            roster?: (holdwire.v1.Roster.$Properties|null);

            /** Envelope control. */
            control?: (holdwire.v1.Control.$Properties|null);

            /** Envelope body. */
            body?: ("data"|"presence"|"roster"|"control");

            /**
             * Creates a new Envelope instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Envelope instance
             */
            static create(properties: holdwire.v1.Envelope.$Shape): holdwire.v1.Envelope & holdwire.v1.Envelope.$Shape;
            static create(properties?: holdwire.v1.Envelope.$Properties): holdwire.v1.Envelope;

            /**
             * Encodes the specified Envelope message. Does not implicitly {@link holdwire.v1.Envelope.verify|verify} messages.
             * @param message Envelope message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Envelope.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Envelope message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Envelope & holdwire.v1.Envelope.$Shape} Envelope
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Envelope & holdwire.v1.Envelope.$Shape;
        }

        namespace Envelope {

            /** Properties of an Envelope. */
            interface $Properties {

                /** Envelope id */
                id?: (string|null);

                /** Envelope from */
                from?: (string|null);

                /** Envelope topic */
                topic?: (string|null);

                /** Envelope time */
                time?: (number|null);

                /** Envelope expires */
                expires?: (number|null);

                /** Envelope collapseKey */
                collapseKey?: (string|null);

                /** Envelope onlySession */
                onlySession?: (string|null);

                /** Envelope xml */
                xml?: (Uint8Array|null);

                /** Envelope resource */
                resource?: (string|null);

                /** Envelope sent */
                sent?: (boolean|null);

                /** Envelope uncopied */
                uncopied?: (boolean|null);

                /** Envelope native */
                native?: (holdwire.v1.NativePresence.$Properties|null);

                /** Envelope data */
                data?: (Uint8Array|null);

                /** Envelope presence */
                presence?: (holdwire.v1.Presence.$Properties|null);

                /** Envelope roster */
                roster?: (holdwire.v1.Roster.$Properties|null);

                /** Envelope control */
                control?: (holdwire.v1.Control.$Properties|null);

                /** Envelope body */
                body?: ("data"|"presence"|"roster"|"control");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of an Envelope. */
            type $Shape = {
              id?: string|null;
              from?: string|null;
              topic?: string|null;
              time?: number|null;
              expires?: number|null;
              collapseKey?: string|null;
              onlySession?: string|null;
              xml?: Uint8Array|null;
              resource?: string|null;
              sent?: boolean|null;
              uncopied?: boolean|null;
              native?: holdwire.v1.NativePresence.$Shape|null;
              data?: Uint8Array|null;
              presence?: holdwire.v1.Presence.$Shape|null;
              roster?: holdwire.v1.Roster.$Shape|null;
              control?: holdwire.v1.Control.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ body?: undefined; data?: null; presence?: null; roster?: null; control?: null }|{ body?: "data"; data: Uint8Array; presence?: null; roster?: null; control?: null }|{ body?: "presence"; data?: null; presence: holdwire.v1.Presence.$Shape; roster?: null; control?: null }|{ body?: "roster"; data?: null; presence?: null; roster: holdwire.v1.Roster.$Shape; control?: null }|{ body?: "control"; data?: null; presence?: null; roster?: null; control: holdwire.v1.Control.$Shape })
            );
        }

        /**
         * Properties of a NativePresence.
         * @deprecated Use holdwire.v1.NativePresence.$Properties instead.
         */
        interface INativePresence extends holdwire.v1.NativePresence.$Properties {
        }

        /** Represents a NativePresence. */
        class NativePresence {

            /**
             * Constructs a new NativePresence.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.NativePresence.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** NativePresence user. */
            user: string;

            /** NativePresence status. */
            status: string;

            /** NativePresence note. */
            note: string;

            /**
             * Creates a new NativePresence instance using the specified properties.
             * @param [properties] Properties to set
             * @returns NativePresence instance
             */
            static create(properties: holdwire.v1.NativePresence.$Shape): holdwire.v1.NativePresence & holdwire.v1.NativePresence.$Shape;
            static create(properties?: holdwire.v1.NativePresence.$Properties): holdwire.v1.NativePresence;

            /**
             * Encodes the specified NativePresence message. Does not implicitly {@link holdwire.v1.NativePresence.verify|verify} messages.
             * @param message NativePresence message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.NativePresence.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a NativePresence message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.NativePresence & holdwire.v1.NativePresence.$Shape} NativePresence
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.NativePresence & holdwire.v1.NativePresence.$Shape;
        }

        namespace NativePresence {

            /** Properties of a NativePresence. */
            interface $Properties {

                /** NativePresence user */
                user?: (string|null);

                /** NativePresence status */
                status?: (string|null);

                /** NativePresence note */
                note?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a NativePresence. */
            type $Shape = holdwire.v1.NativePresence.$Properties;
        }

        /**
         * Properties of a Control.
         * @deprecated Use holdwire.v1.Control.$Properties instead.
         */
        interface IControl extends holdwire.v1.Control.$Properties {
        }

        /** Represents a Control. */
        class Control {

            /**
             * Constructs a new Control.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Control.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Control probe. */
            probe?: (holdwire.v1.Probe.$Properties|null);

            /** Control close. */
            close?: (holdwire.v1.CloseSessions.$Properties|null);

            /** Control replace. */
            replace?: (holdwire.v1.ReplaceDevice.$Properties|null);

            /** Control find. */
            find?: (holdwire.v1.FindResource.$Properties|null);

            /** Control control. */
            control?: ("probe"|"close"|"replace"|"find");

            /**
             * Creates a new Control instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Control instance
             */
            static create(properties: holdwire.v1.Control.$Shape): holdwire.v1.Control & holdwire.v1.Control.$Shape;
            static create(properties?: holdwire.v1.Control.$Properties): holdwire.v1.Control;

            /**
             * Encodes the specified Control message. Does not implicitly {@link holdwire.v1.Control.verify|verify} messages.
             * @param message Control message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Control.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Control message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Control & holdwire.v1.Control.$Shape} Control
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Control & holdwire.v1.Control.$Shape;
        }

        namespace Control {

            /** Properties of a Control. */
            interface $Properties {

                /** Control probe */
                probe?: (holdwire.v1.Probe.$Properties|null);

                /** Control close */
                close?: (holdwire.v1.CloseSessions.$Properties|null);

                /** Control replace */
                replace?: (holdwire.v1.ReplaceDevice.$Properties|null);

                /** Control find */
                find?: (holdwire.v1.FindResource.$Properties|null);

                /** Control control */
                control?: ("probe"|"close"|"replace"|"find");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a Control. */
            type $Shape = {
              probe?: holdwire.v1.Probe.$Shape|null;
              close?: holdwire.v1.CloseSessions.$Shape|null;
              replace?: holdwire.v1.ReplaceDevice.$Shape|null;
              find?: holdwire.v1.FindResource.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ control?: undefined; probe?: null; close?: null; replace?: null; find?: null }|{ control?: "probe"; probe: holdwire.v1.Probe.$Shape; close?: null; replace?: null; find?: null }|{ control?: "close"; probe?: null; close: holdwire.v1.CloseSessions.$Shape; replace?: null; find?: null }|{ control?: "replace"; probe?: null; close?: null; replace: holdwire.v1.ReplaceDevice.$Shape; find?: null }|{ control?: "find"; probe?: null; close?: null; replace?: null; find: holdwire.v1.FindResource.$Shape })
            );
        }

        /**
         * Properties of a Probe.
         * @deprecated Use holdwire.v1.Probe.$Properties instead.
         */
        interface IProbe extends holdwire.v1.Probe.$Properties {
        }

        /** Represents a Probe. */
        class Probe {

            /**
             * Constructs a new Probe.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Probe.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /**
             * Creates a new Probe instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Probe instance
             */
            static create(properties: holdwire.v1.Probe.$Shape): holdwire.v1.Probe & holdwire.v1.Probe.$Shape;
            static create(properties?: holdwire.v1.Probe.$Properties): holdwire.v1.Probe;

            /**
             * Encodes the specified Probe message. Does not implicitly {@link holdwire.v1.Probe.verify|verify} messages.
             * @param message Probe message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Probe.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Probe message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Probe & holdwire.v1.Probe.$Shape} Probe
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Probe & holdwire.v1.Probe.$Shape;
        }

        namespace Probe {

            /** Properties of a Probe. */
            interface $Properties {

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Probe. */
            type $Shape = holdwire.v1.Probe.$Properties;
        }

        /**
         * Properties of a FindResource.
         * @deprecated Use holdwire.v1.FindResource.$Properties instead.
         */
        interface IFindResource extends holdwire.v1.FindResource.$Properties {
        }

        /** Represents a FindResource. */
        class FindResource {

            /**
             * Constructs a new FindResource.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.FindResource.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** FindResource resource. */
            resource: string;

            /**
             * Creates a new FindResource instance using the specified properties.
             * @param [properties] Properties to set
             * @returns FindResource instance
             */
            static create(properties: holdwire.v1.FindResource.$Shape): holdwire.v1.FindResource & holdwire.v1.FindResource.$Shape;
            static create(properties?: holdwire.v1.FindResource.$Properties): holdwire.v1.FindResource;

            /**
             * Encodes the specified FindResource message. Does not implicitly {@link holdwire.v1.FindResource.verify|verify} messages.
             * @param message FindResource message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.FindResource.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a FindResource message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.FindResource & holdwire.v1.FindResource.$Shape} FindResource
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.FindResource & holdwire.v1.FindResource.$Shape;
        }

        namespace FindResource {

            /** Properties of a FindResource. */
            interface $Properties {

                /** FindResource resource */
                resource?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a FindResource. */
            type $Shape = holdwire.v1.FindResource.$Properties;
        }

        /**
         * Properties of a CloseSessions.
         * @deprecated Use holdwire.v1.CloseSessions.$Properties instead.
         */
        interface ICloseSessions extends holdwire.v1.CloseSessions.$Properties {
        }

        /** Represents a CloseSessions. */
        class CloseSessions {

            /**
             * Constructs a new CloseSessions.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.CloseSessions.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** CloseSessions code. */
            code: string;

            /** CloseSessions reason. */
            reason: string;

            /**
             * Creates a new CloseSessions instance using the specified properties.
             * @param [properties] Properties to set
             * @returns CloseSessions instance
             */
            static create(properties: holdwire.v1.CloseSessions.$Shape): holdwire.v1.CloseSessions & holdwire.v1.CloseSessions.$Shape;
            static create(properties?: holdwire.v1.CloseSessions.$Properties): holdwire.v1.CloseSessions;

            /**
             * Encodes the specified CloseSessions message. Does not implicitly {@link holdwire.v1.CloseSessions.verify|verify} messages.
             * @param message CloseSessions message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.CloseSessions.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a CloseSessions message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.CloseSessions & holdwire.v1.CloseSessions.$Shape} CloseSessions
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.CloseSessions & holdwire.v1.CloseSessions.$Shape;
        }

        namespace CloseSessions {

            /** Properties of a CloseSessions. */
            interface $Properties {

                /** CloseSessions code */
                code?: (string|null);

                /** CloseSessions reason */
                reason?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a CloseSessions. */
            type $Shape = holdwire.v1.CloseSessions.$Properties;
        }

        /**
         * Properties of a ReplaceDevice.
         * @deprecated Use holdwire.v1.ReplaceDevice.$Properties instead.
         */
        interface IReplaceDevice extends holdwire.v1.ReplaceDevice.$Properties {
        }

        /** Represents a ReplaceDevice. */
        class ReplaceDevice {

            /**
             * Constructs a new ReplaceDevice.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.ReplaceDevice.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ReplaceDevice device. */
            device: string;

            /** ReplaceDevice session. */
            session: string;

            /** ReplaceDevice since. */
            since: number;

            /**
             * Creates a new ReplaceDevice instance using the specified properties.
             * @param [properties] Properties to set
             * @returns ReplaceDevice instance
             */
            static create(properties: holdwire.v1.ReplaceDevice.$Shape): holdwire.v1.ReplaceDevice & holdwire.v1.ReplaceDevice.$Shape;
            static create(properties?: holdwire.v1.ReplaceDevice.$Properties): holdwire.v1.ReplaceDevice;

            /**
             * Encodes the specified ReplaceDevice message. Does not implicitly {@link holdwire.v1.ReplaceDevice.verify|verify} messages.
             * @param message ReplaceDevice message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.ReplaceDevice.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ReplaceDevice message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.ReplaceDevice & holdwire.v1.ReplaceDevice.$Shape} ReplaceDevice
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.ReplaceDevice & holdwire.v1.ReplaceDevice.$Shape;
        }

        namespace ReplaceDevice {

            /** Properties of a ReplaceDevice. */
            interface $Properties {

                /** ReplaceDevice device */
                device?: (string|null);

                /** ReplaceDevice session */
                session?: (string|null);

                /** ReplaceDevice since */
                since?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ReplaceDevice. */
            type $Shape = holdwire.v1.ReplaceDevice.$Properties;
        }

        /**
         * Properties of a SessionList.
         * @deprecated Use holdwire.v1.SessionList.$Properties instead.
         */
        interface ISessionList extends holdwire.v1.SessionList.$Properties {
        }

        /** Represents a SessionList. */
        class SessionList {

            /**
             * Constructs a new SessionList.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.SessionList.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SessionList node. */
            node: string;

            /** SessionList sessions. */
            sessions: holdwire.v1.SessionInfo.$Properties[];

            /**
             * Creates a new SessionList instance using the specified properties.
             * @param [properties] Properties to set
             * @returns SessionList instance
             */
            static create(properties: holdwire.v1.SessionList.$Shape): holdwire.v1.SessionList & holdwire.v1.SessionList.$Shape;
            static create(properties?: holdwire.v1.SessionList.$Properties): holdwire.v1.SessionList;

            /**
             * Encodes the specified SessionList message. Does not implicitly {@link holdwire.v1.SessionList.verify|verify} messages.
             * @param message SessionList message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.SessionList.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SessionList message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.SessionList & holdwire.v1.SessionList.$Shape} SessionList
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.SessionList & holdwire.v1.SessionList.$Shape;
        }

        namespace SessionList {

            /** Properties of a SessionList. */
            interface $Properties {

                /** SessionList node */
                node?: (string|null);

                /** SessionList sessions */
                sessions?: (holdwire.v1.SessionInfo.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SessionList. */
            type $Shape = holdwire.v1.SessionList.$Properties;
        }

        /**
         * Properties of a SessionInfo.
         * @deprecated Use holdwire.v1.SessionInfo.$Properties instead.
         */
        interface ISessionInfo extends holdwire.v1.SessionInfo.$Properties {
        }

        /** Represents a SessionInfo. */
        class SessionInfo {

            /**
             * Constructs a new SessionInfo.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.SessionInfo.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SessionInfo session. */
            session: string;

            /** SessionInfo transport. */
            transport: string;

            /** SessionInfo since. */
            since: number;

            /** SessionInfo device. */
            device: string;

            /** SessionInfo status. */
            status: string;

            /** SessionInfo note. */
            note: string;

            /** SessionInfo xmpp. */
            xmpp?: (holdwire.v1.XmppShown.$Properties|null);

            /**
             * Creates a new SessionInfo instance using the specified properties.
             * @param [properties] Properties to set
             * @returns SessionInfo instance
             */
            static create(properties: holdwire.v1.SessionInfo.$Shape): holdwire.v1.SessionInfo & holdwire.v1.SessionInfo.$Shape;
            static create(properties?: holdwire.v1.SessionInfo.$Properties): holdwire.v1.SessionInfo;

            /**
             * Encodes the specified SessionInfo message. Does not implicitly {@link holdwire.v1.SessionInfo.verify|verify} messages.
             * @param message SessionInfo message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.SessionInfo.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SessionInfo message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.SessionInfo & holdwire.v1.SessionInfo.$Shape} SessionInfo
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.SessionInfo & holdwire.v1.SessionInfo.$Shape;
        }

        namespace SessionInfo {

            /** Properties of a SessionInfo. */
            interface $Properties {

                /** SessionInfo session */
                session?: (string|null);

                /** SessionInfo transport */
                transport?: (string|null);

                /** SessionInfo since */
                since?: (number|null);

                /** SessionInfo device */
                device?: (string|null);

                /** SessionInfo status */
                status?: (string|null);

                /** SessionInfo note */
                note?: (string|null);

                /** SessionInfo xmpp */
                xmpp?: (holdwire.v1.XmppShown.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SessionInfo. */
            type $Shape = holdwire.v1.SessionInfo.$Properties;
        }

        /**
         * Properties of a XmppShown.
         * @deprecated Use holdwire.v1.XmppShown.$Properties instead.
         */
        interface IXmppShown extends holdwire.v1.XmppShown.$Properties {
        }

        /** Represents a XmppShown. */
        class XmppShown {

            /**
             * Constructs a new XmppShown.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.XmppShown.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** XmppShown available. */
            available: boolean;

            /** XmppShown priority. */
            priority: number;

            /** XmppShown interested. */
            interested: boolean;

            /** XmppShown carbons. */
            carbons: boolean;

            /** XmppShown presence. */
            presence: Uint8Array;

            /** XmppShown blocklist. */
            blocklist: boolean;

            /**
             * Creates a new XmppShown instance using the specified properties.
             * @param [properties] Properties to set
             * @returns XmppShown instance
             */
            static create(properties: holdwire.v1.XmppShown.$Shape): holdwire.v1.XmppShown & holdwire.v1.XmppShown.$Shape;
            static create(properties?: holdwire.v1.XmppShown.$Properties): holdwire.v1.XmppShown;

            /**
             * Encodes the specified XmppShown message. Does not implicitly {@link holdwire.v1.XmppShown.verify|verify} messages.
             * @param message XmppShown message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.XmppShown.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a XmppShown message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.XmppShown & holdwire.v1.XmppShown.$Shape} XmppShown
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.XmppShown & holdwire.v1.XmppShown.$Shape;
        }

        namespace XmppShown {

            /** Properties of a XmppShown. */
            interface $Properties {

                /** XmppShown available */
                available?: (boolean|null);

                /** XmppShown priority */
                priority?: (number|null);

                /** XmppShown interested */
                interested?: (boolean|null);

                /** XmppShown carbons */
                carbons?: (boolean|null);

                /** XmppShown presence */
                presence?: (Uint8Array|null);

                /** XmppShown blocklist */
                blocklist?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a XmppShown. */
            type $Shape = holdwire.v1.XmppShown.$Properties;
        }

        /**
         * Properties of a PresenceRecord.
         * @deprecated Use holdwire.v1.PresenceRecord.$Properties instead.
         */
        interface IPresenceRecord extends holdwire.v1.PresenceRecord.$Properties {
        }

        /** Represents a PresenceRecord. */
        class PresenceRecord {

            /**
             * Constructs a new PresenceRecord.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.PresenceRecord.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** PresenceRecord status. */
            status: string;

            /** PresenceRecord note. */
            note: string;

            /** PresenceRecord lastSeen. */
            lastSeen: number;

            /** PresenceRecord nativeStatus. */
            nativeStatus: string;

            /** PresenceRecord nativeNote. */
            nativeNote: string;

            /** PresenceRecord resources. */
            resources: string[];

            /**
             * Creates a new PresenceRecord instance using the specified properties.
             * @param [properties] Properties to set
             * @returns PresenceRecord instance
             */
            static create(properties: holdwire.v1.PresenceRecord.$Shape): holdwire.v1.PresenceRecord & holdwire.v1.PresenceRecord.$Shape;
            static create(properties?: holdwire.v1.PresenceRecord.$Properties): holdwire.v1.PresenceRecord;

            /**
             * Encodes the specified PresenceRecord message. Does not implicitly {@link holdwire.v1.PresenceRecord.verify|verify} messages.
             * @param message PresenceRecord message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.PresenceRecord.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a PresenceRecord message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.PresenceRecord & holdwire.v1.PresenceRecord.$Shape} PresenceRecord
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.PresenceRecord & holdwire.v1.PresenceRecord.$Shape;
        }

        namespace PresenceRecord {

            /** Properties of a PresenceRecord. */
            interface $Properties {

                /** PresenceRecord status */
                status?: (string|null);

                /** PresenceRecord note */
                note?: (string|null);

                /** PresenceRecord lastSeen */
                lastSeen?: (number|null);

                /** PresenceRecord nativeStatus */
                nativeStatus?: (string|null);

                /** PresenceRecord nativeNote */
                nativeNote?: (string|null);

                /** PresenceRecord resources */
                resources?: (string[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a PresenceRecord. */
            type $Shape = holdwire.v1.PresenceRecord.$Properties;
        }

        /**
         * Properties of an AccountRecord.
         * @deprecated Use holdwire.v1.AccountRecord.$Properties instead.
         */
        interface IAccountRecord extends holdwire.v1.AccountRecord.$Properties {
        }

        /** Represents an AccountRecord. */
        class AccountRecord {

            /**
             * Constructs a new AccountRecord.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.AccountRecord.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AccountRecord keys. */
            keys: holdwire.v1.ScramKeys.$Properties[];

            /**
             * Creates a new AccountRecord instance using the specified properties.
             * @param [properties] Properties to set
             * @returns AccountRecord instance
             */
            static create(properties: holdwire.v1.AccountRecord.$Shape): holdwire.v1.AccountRecord & holdwire.v1.AccountRecord.$Shape;
            static create(properties?: holdwire.v1.AccountRecord.$Properties): holdwire.v1.AccountRecord;

            /**
             * Encodes the specified AccountRecord message. Does not implicitly {@link holdwire.v1.AccountRecord.verify|verify} messages.
             * @param message AccountRecord message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.AccountRecord.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AccountRecord message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.AccountRecord & holdwire.v1.AccountRecord.$Shape} AccountRecord
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.AccountRecord & holdwire.v1.AccountRecord.$Shape;
        }

        namespace AccountRecord {

            /** Properties of an AccountRecord. */
            interface $Properties {

                /** AccountRecord keys */
                keys?: (holdwire.v1.ScramKeys.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AccountRecord. */
            type $Shape = holdwire.v1.AccountRecord.$Properties;
        }

        /**
         * Properties of a ScramKeys.
         * @deprecated Use holdwire.v1.ScramKeys.$Properties instead.
         */
        interface IScramKeys extends holdwire.v1.ScramKeys.$Properties {
        }

        /** Represents a ScramKeys. */
        class ScramKeys {

            /**
             * Constructs a new ScramKeys.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.ScramKeys.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ScramKeys mechanism. */
            mechanism: string;

            /** ScramKeys salt. */
            salt: Uint8Array;

            /** ScramKeys iterations. */
            iterations: number;

            /** ScramKeys storedKey. */
            storedKey: Uint8Array;

            /** ScramKeys serverKey. */
            serverKey: Uint8Array;

            /**
             * Creates a new ScramKeys instance using the specified properties.
             * @param [properties] Properties to set
             * @returns ScramKeys instance
             */
            static create(properties: holdwire.v1.ScramKeys.$Shape): holdwire.v1.ScramKeys & holdwire.v1.ScramKeys.$Shape;
            static create(properties?: holdwire.v1.ScramKeys.$Properties): holdwire.v1.ScramKeys;

            /**
             * Encodes the specified ScramKeys message. Does not implicitly {@link holdwire.v1.ScramKeys.verify|verify} messages.
             * @param message ScramKeys message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.ScramKeys.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ScramKeys message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.ScramKeys & holdwire.v1.ScramKeys.$Shape} ScramKeys
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.ScramKeys & holdwire.v1.ScramKeys.$Shape;
        }

        namespace ScramKeys {

            /** Properties of a ScramKeys. */
            interface $Properties {

                /** ScramKeys mechanism */
                mechanism?: (string|null);

                /** ScramKeys salt */
                salt?: (Uint8Array|null);

                /** ScramKeys iterations */
                iterations?: (number|null);

                /** ScramKeys storedKey */
                storedKey?: (Uint8Array|null);

                /** ScramKeys serverKey */
                serverKey?: (Uint8Array|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ScramKeys. */
            type $Shape = holdwire.v1.ScramKeys.$Properties;
        }

        /**
         * Properties of an OpenSession.
         * @deprecated Use holdwire.v1.OpenSession.$Properties instead.
         */
        interface IOpenSession extends holdwire.v1.OpenSession.$Properties {
        }

        /** Represents an OpenSession. */
        class OpenSession {

            /**
             * Constructs a new OpenSession.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.OpenSession.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** OpenSession user. */
            user: string;

            /** OpenSession session. */
            session: string;

            /** OpenSession device. */
            device: string;

            /** OpenSession gateway. */
            gateway: string;

            /** OpenSession topics. */
            topics: string[];

            /** OpenSession anyTopic. */
            anyTopic: boolean;

            /** OpenSession context. */
            context: Uint8Array;

            /** OpenSession since. */
            since: number;

            /** OpenSession xmpp. */
            xmpp?: (holdwire.v1.XmppSession.$Properties|null);

            /**
             * Creates a new OpenSession instance using the specified properties.
             * @param [properties] Properties to set
             * @returns OpenSession instance
             */
            static create(properties: holdwire.v1.OpenSession.$Shape): holdwire.v1.OpenSession & holdwire.v1.OpenSession.$Shape;
            static create(properties?: holdwire.v1.OpenSession.$Properties): holdwire.v1.OpenSession;

            /**
             * Encodes the specified OpenSession message. Does not implicitly {@link holdwire.v1.OpenSession.verify|verify} messages.
             * @param message OpenSession message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.OpenSession.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an OpenSession message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.OpenSession & holdwire.v1.OpenSession.$Shape} OpenSession
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.OpenSession & holdwire.v1.OpenSession.$Shape;
        }

        namespace OpenSession {

            /** Properties of an OpenSession. */
            interface $Properties {

                /** OpenSession user */
                user?: (string|null);

                /** OpenSession session */
                session?: (string|null);

                /** OpenSession device */
                device?: (string|null);

                /** OpenSession gateway */
                gateway?: (string|null);

                /** OpenSession topics */
                topics?: (string[]|null);

                /** OpenSession anyTopic */
                anyTopic?: (boolean|null);

                /** OpenSession context */
                context?: (Uint8Array|null);

                /** OpenSession since */
                since?: (number|null);

                /** OpenSession xmpp */
                xmpp?: (holdwire.v1.XmppSession.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an OpenSession. */
            type $Shape = holdwire.v1.OpenSession.$Properties;
        }

        /**
         * Properties of a XmppSession.
         * @deprecated Use holdwire.v1.XmppSession.$Properties instead.
         */
        interface IXmppSession extends holdwire.v1.XmppSession.$Properties {
        }

        /** Represents a XmppSession. */
        class XmppSession {

            /**
             * Constructs a new XmppSession.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.XmppSession.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** XmppSession resource. */
            resource: string;

            /** XmppSession language. */
            language: string;

            /**
             * Creates a new XmppSession instance using the specified properties.
             * @param [properties] Properties to set
             * @returns XmppSession instance
             */
            static create(properties: holdwire.v1.XmppSession.$Shape): holdwire.v1.XmppSession & holdwire.v1.XmppSession.$Shape;
            static create(properties?: holdwire.v1.XmppSession.$Properties): holdwire.v1.XmppSession;

            /**
             * Encodes the specified XmppSession message. Does not implicitly {@link holdwire.v1.XmppSession.verify|verify} messages.
             * @param message XmppSession message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.XmppSession.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a XmppSession message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.XmppSession & holdwire.v1.XmppSession.$Shape} XmppSession
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.XmppSession & holdwire.v1.XmppSession.$Shape;
        }

        namespace XmppSession {

            /** Properties of a XmppSession. */
            interface $Properties {

                /** XmppSession resource */
                resource?: (string|null);

                /** XmppSession language */
                language?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a XmppSession. */
            type $Shape = holdwire.v1.XmppSession.$Properties;
        }

        /**
         * Properties of an OpenedSession.
         * @deprecated Use holdwire.v1.OpenedSession.$Properties instead.
         */
        interface IOpenedSession extends holdwire.v1.OpenedSession.$Properties {
        }

        /** Represents an OpenedSession. */
        class OpenedSession {

            /**
             * Constructs a new OpenedSession.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.OpenedSession.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** OpenedSession worker. */
            worker: string;

            /** OpenedSession context. */
            context: Uint8Array;

            /** OpenedSession status. */
            status: string;

            /** OpenedSession note. */
            note: string;

            /** OpenedSession xmpp. */
            xmpp?: (holdwire.v1.XmppShown.$Properties|null);

            /**
             * Creates a new OpenedSession instance using the specified properties.
             * @param [properties] Properties to set
             * @returns OpenedSession instance
             */
            static create(properties: holdwire.v1.OpenedSession.$Shape): holdwire.v1.OpenedSession & holdwire.v1.OpenedSession.$Shape;
            static create(properties?: holdwire.v1.OpenedSession.$Properties): holdwire.v1.OpenedSession;

            /**
             * Encodes the specified OpenedSession message. Does not implicitly {@link holdwire.v1.OpenedSession.verify|verify} messages.
             * @param message OpenedSession message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.OpenedSession.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an OpenedSession message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.OpenedSession & holdwire.v1.OpenedSession.$Shape} OpenedSession
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.OpenedSession & holdwire.v1.OpenedSession.$Shape;
        }

        namespace OpenedSession {

            /** Properties of an OpenedSession. */
            interface $Properties {

                /** OpenedSession worker */
                worker?: (string|null);

                /** OpenedSession context */
                context?: (Uint8Array|null);

                /** OpenedSession status */
                status?: (string|null);

                /** OpenedSession note */
                note?: (string|null);

                /** OpenedSession xmpp */
                xmpp?: (holdwire.v1.XmppShown.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an OpenedSession. */
            type $Shape = holdwire.v1.OpenedSession.$Properties;
        }

        /**
         * Properties of an Uplink.
         * @deprecated Use holdwire.v1.Uplink.$Properties instead.
         */
        interface IUplink extends holdwire.v1.Uplink.$Properties {
        }

        /** Represents an Uplink. */
        class Uplink {

            /**
             * Constructs a new Uplink.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Uplink.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Uplink session. */
            session: string;

            /** Uplink sequence. */
            sequence: number;

            /** Uplink frames. */
            frames: holdwire.v1.ClientFrame.$Properties[];

            /** Uplink bye. */
            bye: boolean;

            /** Uplink topics. */
            topics: string[];

            /** Uplink claims. */
            claims: boolean;

            /** Uplink anyTopic. */
            anyTopic: boolean;

            /**
             * Creates a new Uplink instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Uplink instance
             */
            static create(properties: holdwire.v1.Uplink.$Shape): holdwire.v1.Uplink & holdwire.v1.Uplink.$Shape;
            static create(properties?: holdwire.v1.Uplink.$Properties): holdwire.v1.Uplink;

            /**
             * Encodes the specified Uplink message. Does not implicitly {@link holdwire.v1.Uplink.verify|verify} messages.
             * @param message Uplink message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Uplink.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Uplink message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Uplink & holdwire.v1.Uplink.$Shape} Uplink
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Uplink & holdwire.v1.Uplink.$Shape;
        }

        namespace Uplink {

            /** Properties of an Uplink. */
            interface $Properties {

                /** Uplink session */
                session?: (string|null);

                /** Uplink sequence */
                sequence?: (number|null);

                /** Uplink frames */
                frames?: (holdwire.v1.ClientFrame.$Properties[]|null);

                /** Uplink bye */
                bye?: (boolean|null);

                /** Uplink topics */
                topics?: (string[]|null);

                /** Uplink claims */
                claims?: (boolean|null);

                /** Uplink anyTopic */
                anyTopic?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Uplink. */
            type $Shape = {
              session?: string|null;
              sequence?: number|null;
              frames?: holdwire.v1.ClientFrame.$Shape[]|null;
              bye?: boolean|null;
              topics?: string[]|null;
              claims?: boolean|null;
              anyTopic?: boolean|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of an UplinkReply.
         * @deprecated Use holdwire.v1.UplinkReply.$Properties instead.
         */
        interface IUplinkReply extends holdwire.v1.UplinkReply.$Properties {
        }

        /** Represents an UplinkReply. */
        class UplinkReply {

            /**
             * Constructs a new UplinkReply.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.UplinkReply.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** UplinkReply replies. */
            replies: holdwire.v1.Reply.$Properties[];

            /** UplinkReply context. */
            context: Uint8Array;

            /** UplinkReply status. */
            status: string;

            /** UplinkReply note. */
            note: string;

            /** UplinkReply unknown. */
            unknown: boolean;

            /** UplinkReply stanzas. */
            stanzas: Uint8Array[];

            /** UplinkReply xmpp. */
            xmpp?: (holdwire.v1.XmppShown.$Properties|null);

            /** UplinkReply streamError. */
            streamError: string;

            /**
             * Creates a new UplinkReply instance using the specified properties.
             * @param [properties] Properties to set
             * @returns UplinkReply instance
             */
            static create(properties: holdwire.v1.UplinkReply.$Shape): holdwire.v1.UplinkReply & holdwire.v1.UplinkReply.$Shape;
            static create(properties?: holdwire.v1.UplinkReply.$Properties): holdwire.v1.UplinkReply;

            /**
             * Encodes the specified UplinkReply message. Does not implicitly {@link holdwire.v1.UplinkReply.verify|verify} messages.
             * @param message UplinkReply message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.UplinkReply.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an UplinkReply message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.UplinkReply & holdwire.v1.UplinkReply.$Shape} UplinkReply
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.UplinkReply & holdwire.v1.UplinkReply.$Shape;
        }

        namespace UplinkReply {

            /** Properties of an UplinkReply. */
            interface $Properties {

                /** UplinkReply replies */
                replies?: (holdwire.v1.Reply.$Properties[]|null);

                /** UplinkReply context */
                context?: (Uint8Array|null);

                /** UplinkReply status */
                status?: (string|null);

                /** UplinkReply note */
                note?: (string|null);

                /** UplinkReply unknown */
                unknown?: (boolean|null);

                /** UplinkReply stanzas */
                stanzas?: (Uint8Array[]|null);

                /** UplinkReply xmpp */
                xmpp?: (holdwire.v1.XmppShown.$Properties|null);

                /** UplinkReply streamError */
                streamError?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an UplinkReply. */
            type $Shape = holdwire.v1.UplinkReply.$Properties;
        }

        /**
         * Properties of a StreamRequest.
         * @deprecated Use holdwire.v1.StreamRequest.$Properties instead.
         */
        interface IStreamRequest extends holdwire.v1.StreamRequest.$Properties {
        }

        /** Represents a StreamRequest. */
        class StreamRequest {

            /**
             * Constructs a new StreamRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.StreamRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** StreamRequest context. */
            context: Uint8Array;

            /** StreamRequest element. */
            element: Uint8Array;

            /** StreamRequest open. */
            open?: (holdwire.v1.StreamOpen.$Properties|null);

            /** StreamRequest ip. */
            ip: string;

            /**
             * Creates a new StreamRequest instance using the specified properties.
             * @param [properties] Properties to set
             * @returns StreamRequest instance
             */
            static create(properties: holdwire.v1.StreamRequest.$Shape): holdwire.v1.StreamRequest & holdwire.v1.StreamRequest.$Shape;
            static create(properties?: holdwire.v1.StreamRequest.$Properties): holdwire.v1.StreamRequest;

            /**
             * Encodes the specified StreamRequest message. Does not implicitly {@link holdwire.v1.StreamRequest.verify|verify} messages.
             * @param message StreamRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.StreamRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a StreamRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.StreamRequest & holdwire.v1.StreamRequest.$Shape} StreamRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.StreamRequest & holdwire.v1.StreamRequest.$Shape;
        }

        namespace StreamRequest {

            /** Properties of a StreamRequest. */
            interface $Properties {

                /** StreamRequest context */
                context?: (Uint8Array|null);

                /** StreamRequest element */
                element?: (Uint8Array|null);

                /** StreamRequest open */
                open?: (holdwire.v1.StreamOpen.$Properties|null);

                /** StreamRequest ip */
                ip?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a StreamRequest. */
            type $Shape = holdwire.v1.StreamRequest.$Properties;
        }

        /**
         * Properties of a StreamOpen.
         * @deprecated Use holdwire.v1.StreamOpen.$Properties instead.
         */
        interface IStreamOpen extends holdwire.v1.StreamOpen.$Properties {
        }

        /** Represents a StreamOpen. */
        class StreamOpen {

            /**
             * Constructs a new StreamOpen.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.StreamOpen.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** StreamOpen to. */
            to: string;

            /** StreamOpen from. */
            from: string;

            /** StreamOpen language. */
            language: string;

            /** StreamOpen transport. */
            transport: string;

            /** StreamOpen secure. */
            secure: boolean;

            /**
             * Creates a new StreamOpen instance using the specified properties.
             * @param [properties] Properties to set
             * @returns StreamOpen instance
             */
            static create(properties: holdwire.v1.StreamOpen.$Shape): holdwire.v1.StreamOpen & holdwire.v1.StreamOpen.$Shape;
            static create(properties?: holdwire.v1.StreamOpen.$Properties): holdwire.v1.StreamOpen;

            /**
             * Encodes the specified StreamOpen message. Does not implicitly {@link holdwire.v1.StreamOpen.verify|verify} messages.
             * @param message StreamOpen message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.StreamOpen.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a StreamOpen message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.StreamOpen & holdwire.v1.StreamOpen.$Shape} StreamOpen
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.StreamOpen & holdwire.v1.StreamOpen.$Shape;
        }

        namespace StreamOpen {

            /** Properties of a StreamOpen. */
            interface $Properties {

                /** StreamOpen to */
                to?: (string|null);

                /** StreamOpen from */
                from?: (string|null);

                /** StreamOpen language */
                language?: (string|null);

                /** StreamOpen transport */
                transport?: (string|null);

                /** StreamOpen secure */
                secure?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a StreamOpen. */
            type $Shape = holdwire.v1.StreamOpen.$Properties;
        }

        /**
         * Properties of a StreamReply.
         * @deprecated Use holdwire.v1.StreamReply.$Properties instead.
         */
        interface IStreamReply extends holdwire.v1.StreamReply.$Properties {
        }

        /** Represents a StreamReply. */
        class StreamReply {

            /**
             * Constructs a new StreamReply.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.StreamReply.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** StreamReply elements. */
            elements: Uint8Array[];

            /** StreamReply context. */
            context: Uint8Array;

            /** StreamReply user. */
            user: string;

            /** StreamReply bound. */
            bound?: (holdwire.v1.StreamBound.$Properties|null);

            /** StreamReply streamError. */
            streamError: string;

            /** StreamReply errorText. */
            errorText: string;

            /** StreamReply expires. */
            expires: number;

            /**
             * Creates a new StreamReply instance using the specified properties.
             * @param [properties] Properties to set
             * @returns StreamReply instance
             */
            static create(properties: holdwire.v1.StreamReply.$Shape): holdwire.v1.StreamReply & holdwire.v1.StreamReply.$Shape;
            static create(properties?: holdwire.v1.StreamReply.$Properties): holdwire.v1.StreamReply;

            /**
             * Encodes the specified StreamReply message. Does not implicitly {@link holdwire.v1.StreamReply.verify|verify} messages.
             * @param message StreamReply message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.StreamReply.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a StreamReply message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.StreamReply & holdwire.v1.StreamReply.$Shape} StreamReply
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.StreamReply & holdwire.v1.StreamReply.$Shape;
        }

        namespace StreamReply {

            /** Properties of a StreamReply. */
            interface $Properties {

                /** StreamReply elements */
                elements?: (Uint8Array[]|null);

                /** StreamReply context */
                context?: (Uint8Array|null);

                /** StreamReply user */
                user?: (string|null);

                /** StreamReply bound */
                bound?: (holdwire.v1.StreamBound.$Properties|null);

                /** StreamReply streamError */
                streamError?: (string|null);

                /** StreamReply errorText */
                errorText?: (string|null);

                /** StreamReply expires */
                expires?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a StreamReply. */
            type $Shape = holdwire.v1.StreamReply.$Properties;
        }

        /**
         * Properties of a StreamBound.
         * @deprecated Use holdwire.v1.StreamBound.$Properties instead.
         */
        interface IStreamBound extends holdwire.v1.StreamBound.$Properties {
        }

        /** Represents a StreamBound. */
        class StreamBound {

            /**
             * Constructs a new StreamBound.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.StreamBound.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** StreamBound resource. */
            resource: string;

            /** StreamBound generated. */
            generated: boolean;

            /** StreamBound result. */
            result: Uint8Array;

            /** StreamBound topics. */
            topics: string[];

            /** StreamBound anyTopic. */
            anyTopic: boolean;

            /** StreamBound expires. */
            expires: number;

            /** StreamBound failure. */
            failure: Uint8Array;

            /**
             * Creates a new StreamBound instance using the specified properties.
             * @param [properties] Properties to set
             * @returns StreamBound instance
             */
            static create(properties: holdwire.v1.StreamBound.$Shape): holdwire.v1.StreamBound & holdwire.v1.StreamBound.$Shape;
            static create(properties?: holdwire.v1.StreamBound.$Properties): holdwire.v1.StreamBound;

            /**
             * Encodes the specified StreamBound message. Does not implicitly {@link holdwire.v1.StreamBound.verify|verify} messages.
             * @param message StreamBound message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.StreamBound.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a StreamBound message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.StreamBound & holdwire.v1.StreamBound.$Shape} StreamBound
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.StreamBound & holdwire.v1.StreamBound.$Shape;
        }

        namespace StreamBound {

            /** Properties of a StreamBound. */
            interface $Properties {

                /** StreamBound resource */
                resource?: (string|null);

                /** StreamBound generated */
                generated?: (boolean|null);

                /** StreamBound result */
                result?: (Uint8Array|null);

                /** StreamBound topics */
                topics?: (string[]|null);

                /** StreamBound anyTopic */
                anyTopic?: (boolean|null);

                /** StreamBound expires */
                expires?: (number|null);

                /** StreamBound failure */
                failure?: (Uint8Array|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a StreamBound. */
            type $Shape = holdwire.v1.StreamBound.$Properties;
        }

        /**
         * Properties of a TopicPush.
         * @deprecated Use holdwire.v1.TopicPush.$Properties instead.
         */
        interface ITopicPush extends holdwire.v1.TopicPush.$Properties {
        }

        /** Represents a TopicPush. */
        class TopicPush {

            /**
             * Constructs a new TopicPush.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.TopicPush.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** TopicPush envelope. */
            envelope?: (holdwire.v1.Envelope.$Properties|null);

            /** TopicPush ephemeral. */
            ephemeral: boolean;

            /** TopicPush dedupe. */
            dedupe: string;

            /**
             * Creates a new TopicPush instance using the specified properties.
             * @param [properties] Properties to set
             * @returns TopicPush instance
             */
            static create(properties: holdwire.v1.TopicPush.$Shape): holdwire.v1.TopicPush & holdwire.v1.TopicPush.$Shape;
            static create(properties?: holdwire.v1.TopicPush.$Properties): holdwire.v1.TopicPush;

            /**
             * Encodes the specified TopicPush message. Does not implicitly {@link holdwire.v1.TopicPush.verify|verify} messages.
             * @param message TopicPush message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.TopicPush.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a TopicPush message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.TopicPush & holdwire.v1.TopicPush.$Shape} TopicPush
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.TopicPush & holdwire.v1.TopicPush.$Shape;
        }

        namespace TopicPush {

            /** Properties of a TopicPush. */
            interface $Properties {

                /** TopicPush envelope */
                envelope?: (holdwire.v1.Envelope.$Properties|null);

                /** TopicPush ephemeral */
                ephemeral?: (boolean|null);

                /** TopicPush dedupe */
                dedupe?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a TopicPush. */
            type $Shape = {
              envelope?: holdwire.v1.Envelope.$Shape|null;
              ephemeral?: boolean|null;
              dedupe?: string|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a TopicPushed.
         * @deprecated Use holdwire.v1.TopicPushed.$Properties instead.
         */
        interface ITopicPushed extends holdwire.v1.TopicPushed.$Properties {
        }

        /** Represents a TopicPushed. */
        class TopicPushed {

            /**
             * Constructs a new TopicPushed.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.TopicPushed.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** TopicPushed accepted. */
            accepted: number;

            /** TopicPushed error. */
            error?: (holdwire.v1.Error.$Properties|null);

            /**
             * Creates a new TopicPushed instance using the specified properties.
             * @param [properties] Properties to set
             * @returns TopicPushed instance
             */
            static create(properties: holdwire.v1.TopicPushed.$Shape): holdwire.v1.TopicPushed & holdwire.v1.TopicPushed.$Shape;
            static create(properties?: holdwire.v1.TopicPushed.$Properties): holdwire.v1.TopicPushed;

            /**
             * Encodes the specified TopicPushed message. Does not implicitly {@link holdwire.v1.TopicPushed.verify|verify} messages.
             * @param message TopicPushed message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.TopicPushed.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a TopicPushed message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.TopicPushed & holdwire.v1.TopicPushed.$Shape} TopicPushed
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.TopicPushed & holdwire.v1.TopicPushed.$Shape;
        }

        namespace TopicPushed {

            /** Properties of a TopicPushed. */
            interface $Properties {

                /** TopicPushed accepted */
                accepted?: (number|null);

                /** TopicPushed error */
                error?: (holdwire.v1.Error.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a TopicPushed. */
            type $Shape = holdwire.v1.TopicPushed.$Properties;
        }

        /**
         * Properties of a RelayRequest.
         * @deprecated Use holdwire.v1.RelayRequest.$Properties instead.
         */
        interface IRelayRequest extends holdwire.v1.RelayRequest.$Properties {
        }

        /** Represents a RelayRequest. */
        class RelayRequest {

            /**
             * Constructs a new RelayRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.RelayRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** RelayRequest poll. */
            poll?: (holdwire.v1.RelayPoll.$Properties|null);

            /** RelayRequest send. */
            send?: (holdwire.v1.RelaySend.$Properties|null);

            /** RelayRequest cancel. */
            cancel?: (holdwire.v1.RelayCancel.$Properties|null);

            /** RelayRequest move. */
            move?: (holdwire.v1.MoveSession.$Properties|null);

            /** RelayRequest pushAll. */
            pushAll?: (holdwire.v1.PushAll.$Properties|null);

            /** RelayRequest stats. */
            stats?: (holdwire.v1.NodeStats.$Properties|null);

            /** RelayRequest bosh. */
            bosh?: (holdwire.v1.RelayBosh.$Properties|null);

            /** RelayRequest moveBosh. */
            moveBosh?: (holdwire.v1.MoveBosh.$Properties|null);

            /** RelayRequest request. */
            request?: ("poll"|"send"|"cancel"|"move"|"pushAll"|"stats"|"bosh"|"moveBosh");

            /**
             * Creates a new RelayRequest instance using the specified properties.
             * @param [properties] Properties to set
             * @returns RelayRequest instance
             */
            static create(properties: holdwire.v1.RelayRequest.$Shape): holdwire.v1.RelayRequest & holdwire.v1.RelayRequest.$Shape;
            static create(properties?: holdwire.v1.RelayRequest.$Properties): holdwire.v1.RelayRequest;

            /**
             * Encodes the specified RelayRequest message. Does not implicitly {@link holdwire.v1.RelayRequest.verify|verify} messages.
             * @param message RelayRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.RelayRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a RelayRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.RelayRequest & holdwire.v1.RelayRequest.$Shape} RelayRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.RelayRequest & holdwire.v1.RelayRequest.$Shape;
        }

        namespace RelayRequest {

            /** Properties of a RelayRequest. */
            interface $Properties {

                /** RelayRequest poll */
                poll?: (holdwire.v1.RelayPoll.$Properties|null);

                /** RelayRequest send */
                send?: (holdwire.v1.RelaySend.$Properties|null);

                /** RelayRequest cancel */
                cancel?: (holdwire.v1.RelayCancel.$Properties|null);

                /** RelayRequest move */
                move?: (holdwire.v1.MoveSession.$Properties|null);

                /** RelayRequest pushAll */
                pushAll?: (holdwire.v1.PushAll.$Properties|null);

                /** RelayRequest stats */
                stats?: (holdwire.v1.NodeStats.$Properties|null);

                /** RelayRequest bosh */
                bosh?: (holdwire.v1.RelayBosh.$Properties|null);

                /** RelayRequest moveBosh */
                moveBosh?: (holdwire.v1.MoveBosh.$Properties|null);

                /** RelayRequest request */
                request?: ("poll"|"send"|"cancel"|"move"|"pushAll"|"stats"|"bosh"|"moveBosh");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a RelayRequest. */
            type $Shape = {
              poll?: holdwire.v1.RelayPoll.$Shape|null;
              send?: holdwire.v1.RelaySend.$Shape|null;
              cancel?: holdwire.v1.RelayCancel.$Shape|null;
              move?: holdwire.v1.MoveSession.$Shape|null;
              pushAll?: holdwire.v1.PushAll.$Shape|null;
              stats?: holdwire.v1.NodeStats.$Shape|null;
              bosh?: holdwire.v1.RelayBosh.$Shape|null;
              moveBosh?: holdwire.v1.MoveBosh.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ request?: undefined; poll?: null; send?: null; cancel?: null; move?: null; pushAll?: null; stats?: null; bosh?: null; moveBosh?: null }|{ request?: "poll"; poll: holdwire.v1.RelayPoll.$Shape; send?: null; cancel?: null; move?: null; pushAll?: null; stats?: null; bosh?: null; moveBosh?: null }|{ request?: "send"; poll?: null; send: holdwire.v1.RelaySend.$Shape; cancel?: null; move?: null; pushAll?: null; stats?: null; bosh?: null; moveBosh?: null }|{ request?: "cancel"; poll?: null; send?: null; cancel: holdwire.v1.RelayCancel.$Shape; move?: null; pushAll?: null; stats?: null; bosh?: null; moveBosh?: null }|{ request?: "move"; poll?: null; send?: null; cancel?: null; move: holdwire.v1.MoveSession.$Shape; pushAll?: null; stats?: null; bosh?: null; moveBosh?: null }|{ request?: "pushAll"; poll?: null; send?: null; cancel?: null; move?: null; pushAll: holdwire.v1.PushAll.$Shape; stats?: null; bosh?: null; moveBosh?: null }|{ request?: "stats"; poll?: null; send?: null; cancel?: null; move?: null; pushAll?: null; stats: holdwire.v1.NodeStats.$Shape; bosh?: null; moveBosh?: null }|{ request?: "bosh"; poll?: null; send?: null; cancel?: null; move?: null; pushAll?: null; stats?: null; bosh: holdwire.v1.RelayBosh.$Shape; moveBosh?: null }|{ request?: "moveBosh"; poll?: null; send?: null; cancel?: null; move?: null; pushAll?: null; stats?: null; bosh?: null; moveBosh: holdwire.v1.MoveBosh.$Shape })
            );
        }

        /**
         * Properties of a RelayBosh.
         * @deprecated Use holdwire.v1.RelayBosh.$Properties instead.
         */
        interface IRelayBosh extends holdwire.v1.RelayBosh.$Properties {
        }

        /** Represents a RelayBosh. */
        class RelayBosh {

            /**
             * Constructs a new RelayBosh.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.RelayBosh.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** RelayBosh id. */
            id: string;

            /** RelayBosh sid. */
            sid: string;

            /** RelayBosh body. */
            body: Uint8Array;

            /** RelayBosh ip. */
            ip: string;

            /** RelayBosh secure. */
            secure: boolean;

            /**
             * Creates a new RelayBosh instance using the specified properties.
             * @param [properties] Properties to set
             * @returns RelayBosh instance
             */
            static create(properties: holdwire.v1.RelayBosh.$Shape): holdwire.v1.RelayBosh & holdwire.v1.RelayBosh.$Shape;
            static create(properties?: holdwire.v1.RelayBosh.$Properties): holdwire.v1.RelayBosh;

            /**
             * Encodes the specified RelayBosh message. Does not implicitly {@link holdwire.v1.RelayBosh.verify|verify} messages.
             * @param message RelayBosh message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.RelayBosh.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a RelayBosh message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.RelayBosh & holdwire.v1.RelayBosh.$Shape} RelayBosh
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.RelayBosh & holdwire.v1.RelayBosh.$Shape;
        }

        namespace RelayBosh {

            /** Properties of a RelayBosh. */
            interface $Properties {

                /** RelayBosh id */
                id?: (string|null);

                /** RelayBosh sid */
                sid?: (string|null);

                /** RelayBosh body */
                body?: (Uint8Array|null);

                /** RelayBosh ip */
                ip?: (string|null);

                /** RelayBosh secure */
                secure?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a RelayBosh. */
            type $Shape = holdwire.v1.RelayBosh.$Properties;
        }

        /**
         * Properties of a MoveBosh.
         * @deprecated Use holdwire.v1.MoveBosh.$Properties instead.
         */
        interface IMoveBosh extends holdwire.v1.MoveBosh.$Properties {
        }

        /** Represents a MoveBosh. */
        class MoveBosh {

            /**
             * Constructs a new MoveBosh.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.MoveBosh.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** MoveBosh state. */
            state: Uint8Array;

            /**
             * Creates a new MoveBosh instance using the specified properties.
             * @param [properties] Properties to set
             * @returns MoveBosh instance
             */
            static create(properties: holdwire.v1.MoveBosh.$Shape): holdwire.v1.MoveBosh & holdwire.v1.MoveBosh.$Shape;
            static create(properties?: holdwire.v1.MoveBosh.$Properties): holdwire.v1.MoveBosh;

            /**
             * Encodes the specified MoveBosh message. Does not implicitly {@link holdwire.v1.MoveBosh.verify|verify} messages.
             * @param message MoveBosh message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.MoveBosh.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a MoveBosh message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.MoveBosh & holdwire.v1.MoveBosh.$Shape} MoveBosh
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.MoveBosh & holdwire.v1.MoveBosh.$Shape;
        }

        namespace MoveBosh {

            /** Properties of a MoveBosh. */
            interface $Properties {

                /** MoveBosh state */
                state?: (Uint8Array|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a MoveBosh. */
            type $Shape = holdwire.v1.MoveBosh.$Properties;
        }

        /**
         * Properties of a RelayPoll.
         * @deprecated Use holdwire.v1.RelayPoll.$Properties instead.
         */
        interface IRelayPoll extends holdwire.v1.RelayPoll.$Properties {
        }

        /** Represents a RelayPoll. */
        class RelayPoll {

            /**
             * Constructs a new RelayPoll.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.RelayPoll.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** RelayPoll id. */
            id: string;

            /** RelayPoll user. */
            user: string;

            /** RelayPoll cursor. */
            cursor: string;

            /** RelayPoll waitMs. */
            waitMs: number;

            /** RelayPoll body. */
            body: Uint8Array;

            /** RelayPoll tokenExpires. */
            tokenExpires: number;

            /** RelayPoll closing. */
            closing: boolean;

            /** RelayPoll topics. */
            topics: string[];

            /** RelayPoll anyTopics. */
            anyTopics: boolean;

            /**
             * Creates a new RelayPoll instance using the specified properties.
             * @param [properties] Properties to set
             * @returns RelayPoll instance
             */
            static create(properties: holdwire.v1.RelayPoll.$Shape): holdwire.v1.RelayPoll & holdwire.v1.RelayPoll.$Shape;
            static create(properties?: holdwire.v1.RelayPoll.$Properties): holdwire.v1.RelayPoll;

            /**
             * Encodes the specified RelayPoll message. Does not implicitly {@link holdwire.v1.RelayPoll.verify|verify} messages.
             * @param message RelayPoll message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.RelayPoll.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a RelayPoll message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.RelayPoll & holdwire.v1.RelayPoll.$Shape} RelayPoll
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.RelayPoll & holdwire.v1.RelayPoll.$Shape;
        }

        namespace RelayPoll {

            /** Properties of a RelayPoll. */
            interface $Properties {

                /** RelayPoll id */
                id?: (string|null);

                /** RelayPoll user */
                user?: (string|null);

                /** RelayPoll cursor */
                cursor?: (string|null);

                /** RelayPoll waitMs */
                waitMs?: (number|null);

                /** RelayPoll body */
                body?: (Uint8Array|null);

                /** RelayPoll tokenExpires */
                tokenExpires?: (number|null);

                /** RelayPoll closing */
                closing?: (boolean|null);

                /** RelayPoll topics */
                topics?: (string[]|null);

                /** RelayPoll anyTopics */
                anyTopics?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a RelayPoll. */
            type $Shape = holdwire.v1.RelayPoll.$Properties;
        }

        /**
         * Properties of a RelaySend.
         * @deprecated Use holdwire.v1.RelaySend.$Properties instead.
         */
        interface IRelaySend extends holdwire.v1.RelaySend.$Properties {
        }

        /** Represents a RelaySend. */
        class RelaySend {

            /**
             * Constructs a new RelaySend.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.RelaySend.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** RelaySend session. */
            session: string;

            /** RelaySend body. */
            body: Uint8Array;

            /** RelaySend end. */
            end: boolean;

            /**
             * Creates a new RelaySend instance using the specified properties.
             * @param [properties] Properties to set
             * @returns RelaySend instance
             */
            static create(properties: holdwire.v1.RelaySend.$Shape): holdwire.v1.RelaySend & holdwire.v1.RelaySend.$Shape;
            static create(properties?: holdwire.v1.RelaySend.$Properties): holdwire.v1.RelaySend;

            /**
             * Encodes the specified RelaySend message. Does not implicitly {@link holdwire.v1.RelaySend.verify|verify} messages.
             * @param message RelaySend message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.RelaySend.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a RelaySend message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.RelaySend & holdwire.v1.RelaySend.$Shape} RelaySend
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.RelaySend & holdwire.v1.RelaySend.$Shape;
        }

        namespace RelaySend {

            /** Properties of a RelaySend. */
            interface $Properties {

                /** RelaySend session */
                session?: (string|null);

                /** RelaySend body */
                body?: (Uint8Array|null);

                /** RelaySend end */
                end?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a RelaySend. */
            type $Shape = holdwire.v1.RelaySend.$Properties;
        }

        /**
         * Properties of a RelayCancel.
         * @deprecated Use holdwire.v1.RelayCancel.$Properties instead.
         */
        interface IRelayCancel extends holdwire.v1.RelayCancel.$Properties {
        }

        /** Represents a RelayCancel. */
        class RelayCancel {

            /**
             * Constructs a new RelayCancel.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.RelayCancel.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** RelayCancel id. */
            id: string;

            /**
             * Creates a new RelayCancel instance using the specified properties.
             * @param [properties] Properties to set
             * @returns RelayCancel instance
             */
            static create(properties: holdwire.v1.RelayCancel.$Shape): holdwire.v1.RelayCancel & holdwire.v1.RelayCancel.$Shape;
            static create(properties?: holdwire.v1.RelayCancel.$Properties): holdwire.v1.RelayCancel;

            /**
             * Encodes the specified RelayCancel message. Does not implicitly {@link holdwire.v1.RelayCancel.verify|verify} messages.
             * @param message RelayCancel message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.RelayCancel.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a RelayCancel message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.RelayCancel & holdwire.v1.RelayCancel.$Shape} RelayCancel
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.RelayCancel & holdwire.v1.RelayCancel.$Shape;
        }

        namespace RelayCancel {

            /** Properties of a RelayCancel. */
            interface $Properties {

                /** RelayCancel id */
                id?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a RelayCancel. */
            type $Shape = holdwire.v1.RelayCancel.$Properties;
        }

        /**
         * Properties of a MoveSession.
         * @deprecated Use holdwire.v1.MoveSession.$Properties instead.
         */
        interface IMoveSession extends holdwire.v1.MoveSession.$Properties {
        }

        /** Represents a MoveSession. */
        class MoveSession {

            /**
             * Constructs a new MoveSession.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.MoveSession.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** MoveSession user. */
            user: string;

            /** MoveSession session. */
            session: string;

            /** MoveSession to. */
            to: string;

            /** MoveSession as. */
            as: string;

            /** MoveSession frame. */
            frame: number;

            /** MoveSession handled. */
            handled?: (holdwire.v1.Handled.$Properties|null);

            /**
             * Creates a new MoveSession instance using the specified properties.
             * @param [properties] Properties to set
             * @returns MoveSession instance
             */
            static create(properties: holdwire.v1.MoveSession.$Shape): holdwire.v1.MoveSession & holdwire.v1.MoveSession.$Shape;
            static create(properties?: holdwire.v1.MoveSession.$Properties): holdwire.v1.MoveSession;

            /**
             * Encodes the specified MoveSession message. Does not implicitly {@link holdwire.v1.MoveSession.verify|verify} messages.
             * @param message MoveSession message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.MoveSession.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a MoveSession message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.MoveSession & holdwire.v1.MoveSession.$Shape} MoveSession
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.MoveSession & holdwire.v1.MoveSession.$Shape;
        }

        namespace MoveSession {

            /** Properties of a MoveSession. */
            interface $Properties {

                /** MoveSession user */
                user?: (string|null);

                /** MoveSession session */
                session?: (string|null);

                /** MoveSession to */
                to?: (string|null);

                /** MoveSession as */
                as?: (string|null);

                /** MoveSession frame */
                frame?: (number|null);

                /** MoveSession handled */
                handled?: (holdwire.v1.Handled.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a MoveSession. */
            type $Shape = holdwire.v1.MoveSession.$Properties;
        }

        /**
         * Properties of a Handled.
         * @deprecated Use holdwire.v1.Handled.$Properties instead.
         */
        interface IHandled extends holdwire.v1.Handled.$Properties {
        }

        /** Represents a Handled. */
        class Handled {

            /**
             * Constructs a new Handled.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Handled.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Handled stanzas. */
            stanzas: number;

            /** Handled id. */
            id: string;

            /**
             * Creates a new Handled instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Handled instance
             */
            static create(properties: holdwire.v1.Handled.$Shape): holdwire.v1.Handled & holdwire.v1.Handled.$Shape;
            static create(properties?: holdwire.v1.Handled.$Properties): holdwire.v1.Handled;

            /**
             * Encodes the specified Handled message. Does not implicitly {@link holdwire.v1.Handled.verify|verify} messages.
             * @param message Handled message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Handled.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Handled message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Handled & holdwire.v1.Handled.$Shape} Handled
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Handled & holdwire.v1.Handled.$Shape;
        }

        namespace Handled {

            /** Properties of a Handled. */
            interface $Properties {

                /** Handled stanzas */
                stanzas?: (number|null);

                /** Handled id */
                id?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Handled. */
            type $Shape = holdwire.v1.Handled.$Properties;
        }

        /**
         * Properties of a PushAll.
         * @deprecated Use holdwire.v1.PushAll.$Properties instead.
         */
        interface IPushAll extends holdwire.v1.PushAll.$Properties {
        }

        /** Represents a PushAll. */
        class PushAll {

            /**
             * Constructs a new PushAll.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.PushAll.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** PushAll envelope. */
            envelope?: (holdwire.v1.Envelope.$Properties|null);

            /** PushAll ephemeral. */
            ephemeral: boolean;

            /** PushAll dedupe. */
            dedupe: string;

            /**
             * Creates a new PushAll instance using the specified properties.
             * @param [properties] Properties to set
             * @returns PushAll instance
             */
            static create(properties: holdwire.v1.PushAll.$Shape): holdwire.v1.PushAll & holdwire.v1.PushAll.$Shape;
            static create(properties?: holdwire.v1.PushAll.$Properties): holdwire.v1.PushAll;

            /**
             * Encodes the specified PushAll message. Does not implicitly {@link holdwire.v1.PushAll.verify|verify} messages.
             * @param message PushAll message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.PushAll.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a PushAll message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.PushAll & holdwire.v1.PushAll.$Shape} PushAll
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.PushAll & holdwire.v1.PushAll.$Shape;
        }

        namespace PushAll {

            /** Properties of a PushAll. */
            interface $Properties {

                /** PushAll envelope */
                envelope?: (holdwire.v1.Envelope.$Properties|null);

                /** PushAll ephemeral */
                ephemeral?: (boolean|null);

                /** PushAll dedupe */
                dedupe?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a PushAll. */
            type $Shape = {
              envelope?: holdwire.v1.Envelope.$Shape|null;
              ephemeral?: boolean|null;
              dedupe?: string|null;
              $unknowns?: Uint8Array[];
            };
        }

        /**
         * Properties of a NodeStats.
         * @deprecated Use holdwire.v1.NodeStats.$Properties instead.
         */
        interface INodeStats extends holdwire.v1.NodeStats.$Properties {
        }

        /** Represents a NodeStats. */
        class NodeStats {

            /**
             * Constructs a new NodeStats.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.NodeStats.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /**
             * Creates a new NodeStats instance using the specified properties.
             * @param [properties] Properties to set
             * @returns NodeStats instance
             */
            static create(properties: holdwire.v1.NodeStats.$Shape): holdwire.v1.NodeStats & holdwire.v1.NodeStats.$Shape;
            static create(properties?: holdwire.v1.NodeStats.$Properties): holdwire.v1.NodeStats;

            /**
             * Encodes the specified NodeStats message. Does not implicitly {@link holdwire.v1.NodeStats.verify|verify} messages.
             * @param message NodeStats message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.NodeStats.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a NodeStats message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.NodeStats & holdwire.v1.NodeStats.$Shape} NodeStats
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.NodeStats & holdwire.v1.NodeStats.$Shape;
        }

        namespace NodeStats {

            /** Properties of a NodeStats. */
            interface $Properties {

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a NodeStats. */
            type $Shape = holdwire.v1.NodeStats.$Properties;
        }

        /**
         * Properties of a RelayReply.
         * @deprecated Use holdwire.v1.RelayReply.$Properties instead.
         */
        interface IRelayReply extends holdwire.v1.RelayReply.$Properties {
        }

        /** Represents a RelayReply. */
        class RelayReply {

            /**
             * Constructs a new RelayReply.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.RelayReply.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** RelayReply status. */
            status: number;

            /** RelayReply body. */
            body: Uint8Array;

            /** RelayReply code. */
            code: string;

            /** RelayReply message. */
            message: string;

            /** RelayReply cause. */
            cause: string;

            /** RelayReply moved. */
            moved?: (holdwire.v1.MovedSession.$Properties|null);

            /** RelayReply accepted. */
            accepted: number;

            /** RelayReply movedTo. */
            movedTo: string;

            /** RelayReply movedAs. */
            movedAs: string;

            /** RelayReply retryAfterMs. */
            retryAfterMs: number;

            /** RelayReply users. */
            users: number;

            /** RelayReply sessions. */
            sessions: holdwire.v1.TransportCount.$Properties[];

            /** RelayReply contentType. */
            contentType: string;

            /**
             * Creates a new RelayReply instance using the specified properties.
             * @param [properties] Properties to set
             * @returns RelayReply instance
             */
            static create(properties: holdwire.v1.RelayReply.$Shape): holdwire.v1.RelayReply & holdwire.v1.RelayReply.$Shape;
            static create(properties?: holdwire.v1.RelayReply.$Properties): holdwire.v1.RelayReply;

            /**
             * Encodes the specified RelayReply message. Does not implicitly {@link holdwire.v1.RelayReply.verify|verify} messages.
             * @param message RelayReply message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.RelayReply.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a RelayReply message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.RelayReply & holdwire.v1.RelayReply.$Shape} RelayReply
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.RelayReply & holdwire.v1.RelayReply.$Shape;
        }

        namespace RelayReply {

            /** Properties of a RelayReply. */
            interface $Properties {

                /** RelayReply status */
                status?: (number|null);

                /** RelayReply body */
                body?: (Uint8Array|null);

                /** RelayReply code */
                code?: (string|null);

                /** RelayReply message */
                message?: (string|null);

                /** RelayReply cause */
                cause?: (string|null);

                /** RelayReply moved */
                moved?: (holdwire.v1.MovedSession.$Properties|null);

                /** RelayReply accepted */
                accepted?: (number|null);

                /** RelayReply movedTo */
                movedTo?: (string|null);

                /** RelayReply movedAs */
                movedAs?: (string|null);

                /** RelayReply retryAfterMs */
                retryAfterMs?: (number|null);

                /** RelayReply users */
                users?: (number|null);

                /** RelayReply sessions */
                sessions?: (holdwire.v1.TransportCount.$Properties[]|null);

                /** RelayReply contentType */
                contentType?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a RelayReply. */
            type $Shape = holdwire.v1.RelayReply.$Properties;
        }

        /**
         * Properties of a TransportCount.
         * @deprecated Use holdwire.v1.TransportCount.$Properties instead.
         */
        interface ITransportCount extends holdwire.v1.TransportCount.$Properties {
        }

        /** Represents a TransportCount. */
        class TransportCount {

            /**
             * Constructs a new TransportCount.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.TransportCount.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** TransportCount transport. */
            transport: string;

            /** TransportCount sessions. */
            sessions: number;

            /**
             * Creates a new TransportCount instance using the specified properties.
             * @param [properties] Properties to set
             * @returns TransportCount instance
             */
            static create(properties: holdwire.v1.TransportCount.$Shape): holdwire.v1.TransportCount & holdwire.v1.TransportCount.$Shape;
            static create(properties?: holdwire.v1.TransportCount.$Properties): holdwire.v1.TransportCount;

            /**
             * Encodes the specified TransportCount message. Does not implicitly {@link holdwire.v1.TransportCount.verify|verify} messages.
             * @param message TransportCount message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.TransportCount.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a TransportCount message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.TransportCount & holdwire.v1.TransportCount.$Shape} TransportCount
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.TransportCount & holdwire.v1.TransportCount.$Shape;
        }

        namespace TransportCount {

            /** Properties of a TransportCount. */
            interface $Properties {

                /** TransportCount transport */
                transport?: (string|null);

                /** TransportCount sessions */
                sessions?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a TransportCount. */
            type $Shape = holdwire.v1.TransportCount.$Properties;
        }

        /**
         * Properties of a MovedSession.
         * @deprecated Use holdwire.v1.MovedSession.$Properties instead.
         */
        interface IMovedSession extends holdwire.v1.MovedSession.$Properties {
        }

        /** Represents a MovedSession. */
        class MovedSession {

            /**
             * Constructs a new MovedSession.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.MovedSession.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** MovedSession frames. */
            frames: holdwire.v1.MovedFrame.$Properties[];

            /** MovedSession incomplete. */
            incomplete: boolean;

            /** MovedSession context. */
            context: Uint8Array;

            /** MovedSession status. */
            status: string;

            /** MovedSession note. */
            note: string;

            /** MovedSession since. */
            since: number;

            /** MovedSession device. */
            device: string;

            /** MovedSession xmpp. */
            xmpp?: (holdwire.v1.MovedXmpp.$Properties|null);

            /**
             * Creates a new MovedSession instance using the specified properties.
             * @param [properties] Properties to set
             * @returns MovedSession instance
             */
            static create(properties: holdwire.v1.MovedSession.$Shape): holdwire.v1.MovedSession & holdwire.v1.MovedSession.$Shape;
            static create(properties?: holdwire.v1.MovedSession.$Properties): holdwire.v1.MovedSession;

            /**
             * Encodes the specified MovedSession message. Does not implicitly {@link holdwire.v1.MovedSession.verify|verify} messages.
             * @param message MovedSession message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.MovedSession.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a MovedSession message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.MovedSession & holdwire.v1.MovedSession.$Shape} MovedSession
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.MovedSession & holdwire.v1.MovedSession.$Shape;
        }

        namespace MovedSession {

            /** Properties of a MovedSession. */
            interface $Properties {

                /** MovedSession frames */
                frames?: (holdwire.v1.MovedFrame.$Properties[]|null);

                /** MovedSession incomplete */
                incomplete?: (boolean|null);

                /** MovedSession context */
                context?: (Uint8Array|null);

                /** MovedSession status */
                status?: (string|null);

                /** MovedSession note */
                note?: (string|null);

                /** MovedSession since */
                since?: (number|null);

                /** MovedSession device */
                device?: (string|null);

                /** MovedSession xmpp */
                xmpp?: (holdwire.v1.MovedXmpp.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a MovedSession. */
            type $Shape = holdwire.v1.MovedSession.$Properties;
        }

        /**
         * Properties of a MovedXmpp.
         * @deprecated Use holdwire.v1.MovedXmpp.$Properties instead.
         */
        interface IMovedXmpp extends holdwire.v1.MovedXmpp.$Properties {
        }

        /** Represents a MovedXmpp. */
        class MovedXmpp {

            /**
             * Constructs a new MovedXmpp.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.MovedXmpp.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** MovedXmpp session. */
            session?: (holdwire.v1.XmppSession.$Properties|null);

            /** MovedXmpp shown. */
            shown?: (holdwire.v1.XmppShown.$Properties|null);

            /** MovedXmpp streamManagement. */
            streamManagement: Uint8Array;

            /** MovedXmpp frame. */
            frame: number;

            /** MovedXmpp inbox. */
            inbox: number;

            /** MovedXmpp generated. */
            generated: boolean;

            /** MovedXmpp receptiveSince. */
            receptiveSince: number;

            /** MovedXmpp own. */
            own: number;

            /**
             * Creates a new MovedXmpp instance using the specified properties.
             * @param [properties] Properties to set
             * @returns MovedXmpp instance
             */
            static create(properties: holdwire.v1.MovedXmpp.$Shape): holdwire.v1.MovedXmpp & holdwire.v1.MovedXmpp.$Shape;
            static create(properties?: holdwire.v1.MovedXmpp.$Properties): holdwire.v1.MovedXmpp;

            /**
             * Encodes the specified MovedXmpp message. Does not implicitly {@link holdwire.v1.MovedXmpp.verify|verify} messages.
             * @param message MovedXmpp message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.MovedXmpp.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a MovedXmpp message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.MovedXmpp & holdwire.v1.MovedXmpp.$Shape} MovedXmpp
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.MovedXmpp & holdwire.v1.MovedXmpp.$Shape;
        }

        namespace MovedXmpp {

            /** Properties of a MovedXmpp. */
            interface $Properties {

                /** MovedXmpp session */
                session?: (holdwire.v1.XmppSession.$Properties|null);

                /** MovedXmpp shown */
                shown?: (holdwire.v1.XmppShown.$Properties|null);

                /** MovedXmpp streamManagement */
                streamManagement?: (Uint8Array|null);

                /** MovedXmpp frame */
                frame?: (number|null);

                /** MovedXmpp inbox */
                inbox?: (number|null);

                /** MovedXmpp generated */
                generated?: (boolean|null);

                /** MovedXmpp receptiveSince */
                receptiveSince?: (number|null);

                /** MovedXmpp own */
                own?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a MovedXmpp. */
            type $Shape = holdwire.v1.MovedXmpp.$Properties;
        }

        /**
         * Properties of a MovedFrame.
         * @deprecated Use holdwire.v1.MovedFrame.$Properties instead.
         */
        interface IMovedFrame extends holdwire.v1.MovedFrame.$Properties {
        }

        /** Represents a MovedFrame. */
        class MovedFrame {

            /**
             * Constructs a new MovedFrame.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.MovedFrame.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** MovedFrame frame. */
            frame: Uint8Array;

            /** MovedFrame expires. */
            expires: number;

            /** MovedFrame collapseKey. */
            collapseKey: string;

            /**
             * Creates a new MovedFrame instance using the specified properties.
             * @param [properties] Properties to set
             * @returns MovedFrame instance
             */
            static create(properties: holdwire.v1.MovedFrame.$Shape): holdwire.v1.MovedFrame & holdwire.v1.MovedFrame.$Shape;
            static create(properties?: holdwire.v1.MovedFrame.$Properties): holdwire.v1.MovedFrame;

            /**
             * Encodes the specified MovedFrame message. Does not implicitly {@link holdwire.v1.MovedFrame.verify|verify} messages.
             * @param message MovedFrame message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.MovedFrame.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a MovedFrame message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.MovedFrame & holdwire.v1.MovedFrame.$Shape} MovedFrame
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.MovedFrame & holdwire.v1.MovedFrame.$Shape;
        }

        namespace MovedFrame {

            /** Properties of a MovedFrame. */
            interface $Properties {

                /** MovedFrame frame */
                frame?: (Uint8Array|null);

                /** MovedFrame expires */
                expires?: (number|null);

                /** MovedFrame collapseKey */
                collapseKey?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a MovedFrame. */
            type $Shape = holdwire.v1.MovedFrame.$Properties;
        }

        /**
         * Properties of a ServerFrame.
         * @deprecated Use holdwire.v1.ServerFrame.$Properties instead.
         */
        interface IServerFrame extends holdwire.v1.ServerFrame.$Properties {
        }

        /** Represents a ServerFrame. */
        class ServerFrame {

            /**
             * Constructs a new ServerFrame.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.ServerFrame.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ServerFrame hello. */
            hello?: (holdwire.v1.Hello.$Properties|null);

            /** ServerFrame message. */
            message?: (holdwire.v1.Message.$Properties|null);

            /** ServerFrame presence. */
            presence?: (holdwire.v1.Presence.$Properties|null);

            /** ServerFrame roster. */
            roster?: (holdwire.v1.Roster.$Properties|null);

            /** ServerFrame reply. */
            reply?: (holdwire.v1.Reply.$Properties|null);

            /** ServerFrame gap. */
            gap?: (holdwire.v1.Gap.$Properties|null);

            /** ServerFrame drain. */
            drain?: (holdwire.v1.Drain.$Properties|null);

            /** ServerFrame close. */
            close?: (holdwire.v1.Close.$Properties|null);

            /** ServerFrame stanza. */
            stanza?: (holdwire.v1.Stanza.$Properties|null);

            /** ServerFrame cursor. */
            cursor: string;

            /** ServerFrame frame. */
            frame?: ("hello"|"message"|"presence"|"roster"|"reply"|"gap"|"drain"|"close"|"stanza");

            /**
             * Creates a new ServerFrame instance using the specified properties.
             * @param [properties] Properties to set
             * @returns ServerFrame instance
             */
            static create(properties: holdwire.v1.ServerFrame.$Shape): holdwire.v1.ServerFrame & holdwire.v1.ServerFrame.$Shape;
            static create(properties?: holdwire.v1.ServerFrame.$Properties): holdwire.v1.ServerFrame;

            /**
             * Encodes the specified ServerFrame message. Does not implicitly {@link holdwire.v1.ServerFrame.verify|verify} messages.
             * @param message ServerFrame message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.ServerFrame.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ServerFrame message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.ServerFrame & holdwire.v1.ServerFrame.$Shape} ServerFrame
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.ServerFrame & holdwire.v1.ServerFrame.$Shape;
        }

        namespace ServerFrame {

            /** Properties of a ServerFrame. */
            interface $Properties {

                /** ServerFrame hello */
                hello?: (holdwire.v1.Hello.$Properties|null);

                /** ServerFrame message */
                message?: (holdwire.v1.Message.$Properties|null);

                /** ServerFrame presence */
                presence?: (holdwire.v1.Presence.$Properties|null);

                /** ServerFrame roster */
                roster?: (holdwire.v1.Roster.$Properties|null);

                /** ServerFrame reply */
                reply?: (holdwire.v1.Reply.$Properties|null);

                /** ServerFrame gap */
                gap?: (holdwire.v1.Gap.$Properties|null);

                /** ServerFrame drain */
                drain?: (holdwire.v1.Drain.$Properties|null);

                /** ServerFrame close */
                close?: (holdwire.v1.Close.$Properties|null);

                /** ServerFrame stanza */
                stanza?: (holdwire.v1.Stanza.$Properties|null);

                /** ServerFrame cursor */
                cursor?: (string|null);

                /** ServerFrame frame */
                frame?: ("hello"|"message"|"presence"|"roster"|"reply"|"gap"|"drain"|"close"|"stanza");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a ServerFrame. */
            type $Shape = {
              hello?: holdwire.v1.Hello.$Shape|null;
              message?: holdwire.v1.Message.$Shape|null;
              presence?: holdwire.v1.Presence.$Shape|null;
              roster?: holdwire.v1.Roster.$Shape|null;
              reply?: holdwire.v1.Reply.$Shape|null;
              gap?: holdwire.v1.Gap.$Shape|null;
              drain?: holdwire.v1.Drain.$Shape|null;
              close?: holdwire.v1.Close.$Shape|null;
              stanza?: holdwire.v1.Stanza.$Shape|null;
              cursor?: string|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ frame?: undefined; hello?: null; message?: null; presence?: null; roster?: null; reply?: null; gap?: null; drain?: null; close?: null; stanza?: null }|{ frame?: "hello"; hello: holdwire.v1.Hello.$Shape; message?: null; presence?: null; roster?: null; reply?: null; gap?: null; drain?: null; close?: null; stanza?: null }|{ frame?: "message"; hello?: null; message: holdwire.v1.Message.$Shape; presence?: null; roster?: null; reply?: null; gap?: null; drain?: null; close?: null; stanza?: null }|{ frame?: "presence"; hello?: null; message?: null; presence: holdwire.v1.Presence.$Shape; roster?: null; reply?: null; gap?: null; drain?: null; close?: null; stanza?: null }|{ frame?: "roster"; hello?: null; message?: null; presence?: null; roster: holdwire.v1.Roster.$Shape; reply?: null; gap?: null; drain?: null; close?: null; stanza?: null }|{ frame?: "reply"; hello?: null; message?: null; presence?: null; roster?: null; reply: holdwire.v1.Reply.$Shape; gap?: null; drain?: null; close?: null; stanza?: null }|{ frame?: "gap"; hello?: null; message?: null; presence?: null; roster?: null; reply?: null; gap: holdwire.v1.Gap.$Shape; drain?: null; close?: null; stanza?: null }|{ frame?: "drain"; hello?: null; message?: null; presence?: null; roster?: null; reply?: null; gap?: null; drain: holdwire.v1.Drain.$Shape; close?: null; stanza?: null }|{ frame?: "close"; hello?: null; message?: null; presence?: null; roster?: null; reply?: null; gap?: null; drain?: null; close: holdwire.v1.Close.$Shape; stanza?: null }|{ frame?: "stanza"; hello?: null; message?: null; presence?: null; roster?: null; reply?: null; gap?: null; drain?: null; close?: null; stanza: holdwire.v1.Stanza.$Shape })
            );
        }

        /**
         * Properties of a ClientFrame.
         * @deprecated Use holdwire.v1.ClientFrame.$Properties instead.
         */
        interface IClientFrame extends holdwire.v1.ClientFrame.$Properties {
        }

        /** Represents a ClientFrame. */
        class ClientFrame {

            /**
             * Constructs a new ClientFrame.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.ClientFrame.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ClientFrame ref. */
            ref: string;

            /** ClientFrame message. */
            message?: (holdwire.v1.Send.$Properties|null);

            /** ClientFrame ack. */
            ack?: (holdwire.v1.Ack.$Properties|null);

            /** ClientFrame presence. */
            presence?: (holdwire.v1.SetPresence.$Properties|null);

            /** ClientFrame roster. */
            roster?: (holdwire.v1.RosterCommand.$Properties|null);

            /** ClientFrame subscribe. */
            subscribe?: (holdwire.v1.TopicName.$Properties|null);

            /** ClientFrame unsubscribe. */
            unsubscribe?: (holdwire.v1.TopicName.$Properties|null);

            /** ClientFrame history. */
            history?: (holdwire.v1.History.$Properties|null);

            /** ClientFrame auth. */
            auth?: (holdwire.v1.Auth.$Properties|null);

            /** ClientFrame ping. */
            ping?: (holdwire.v1.Ping.$Properties|null);

            /** ClientFrame stanza. */
            stanza?: (holdwire.v1.Stanza.$Properties|null);

            /** ClientFrame frame. */
            frame?: ("message"|"ack"|"presence"|"roster"|"subscribe"|"unsubscribe"|"history"|"auth"|"ping"|"stanza");

            /**
             * Creates a new ClientFrame instance using the specified properties.
             * @param [properties] Properties to set
             * @returns ClientFrame instance
             */
            static create(properties: holdwire.v1.ClientFrame.$Shape): holdwire.v1.ClientFrame & holdwire.v1.ClientFrame.$Shape;
            static create(properties?: holdwire.v1.ClientFrame.$Properties): holdwire.v1.ClientFrame;

            /**
             * Encodes the specified ClientFrame message. Does not implicitly {@link holdwire.v1.ClientFrame.verify|verify} messages.
             * @param message ClientFrame message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.ClientFrame.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ClientFrame message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.ClientFrame & holdwire.v1.ClientFrame.$Shape} ClientFrame
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.ClientFrame & holdwire.v1.ClientFrame.$Shape;
        }

        namespace ClientFrame {

            /** Properties of a ClientFrame. */
            interface $Properties {

                /** ClientFrame ref */
                ref?: (string|null);

                /** ClientFrame message */
                message?: (holdwire.v1.Send.$Properties|null);

                /** ClientFrame ack */
                ack?: (holdwire.v1.Ack.$Properties|null);

                /** ClientFrame presence */
                presence?: (holdwire.v1.SetPresence.$Properties|null);

                /** ClientFrame roster */
                roster?: (holdwire.v1.RosterCommand.$Properties|null);

                /** ClientFrame subscribe */
                subscribe?: (holdwire.v1.TopicName.$Properties|null);

                /** ClientFrame unsubscribe */
                unsubscribe?: (holdwire.v1.TopicName.$Properties|null);

                /** ClientFrame history */
                history?: (holdwire.v1.History.$Properties|null);

                /** ClientFrame auth */
                auth?: (holdwire.v1.Auth.$Properties|null);

                /** ClientFrame ping */
                ping?: (holdwire.v1.Ping.$Properties|null);

                /** ClientFrame stanza */
                stanza?: (holdwire.v1.Stanza.$Properties|null);

                /** ClientFrame frame */
                frame?: ("message"|"ack"|"presence"|"roster"|"subscribe"|"unsubscribe"|"history"|"auth"|"ping"|"stanza");

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Narrowed shape of a ClientFrame. */
            type $Shape = {
              ref?: string|null;
              message?: holdwire.v1.Send.$Shape|null;
              ack?: holdwire.v1.Ack.$Shape|null;
              presence?: holdwire.v1.SetPresence.$Shape|null;
              roster?: holdwire.v1.RosterCommand.$Shape|null;
              subscribe?: holdwire.v1.TopicName.$Shape|null;
              unsubscribe?: holdwire.v1.TopicName.$Shape|null;
              history?: holdwire.v1.History.$Shape|null;
              auth?: holdwire.v1.Auth.$Shape|null;
              ping?: holdwire.v1.Ping.$Shape|null;
              stanza?: holdwire.v1.Stanza.$Shape|null;
              $unknowns?: Uint8Array[];
            } & (
              ({ frame?: undefined; message?: null; ack?: null; presence?: null; roster?: null; subscribe?: null; unsubscribe?: null; history?: null; auth?: null; ping?: null; stanza?: null }|{ frame?: "message"; message: holdwire.v1.Send.$Shape; ack?: null; presence?: null; roster?: null; subscribe?: null; unsubscribe?: null; history?: null; auth?: null; ping?: null; stanza?: null }|{ frame?: "ack"; message?: null; ack: holdwire.v1.Ack.$Shape; presence?: null; roster?: null; subscribe?: null; unsubscribe?: null; history?: null; auth?: null; ping?: null; stanza?: null }|{ frame?: "presence"; message?: null; ack?: null; presence: holdwire.v1.SetPresence.$Shape; roster?: null; subscribe?: null; unsubscribe?: null; history?: null; auth?: null; ping?: null; stanza?: null }|{ frame?: "roster"; message?: null; ack?: null; presence?: null; roster: holdwire.v1.RosterCommand.$Shape; subscribe?: null; unsubscribe?: null; history?: null; auth?: null; ping?: null; stanza?: null }|{ frame?: "subscribe"; message?: null; ack?: null; presence?: null; roster?: null; subscribe: holdwire.v1.TopicName.$Shape; unsubscribe?: null; history?: null; auth?: null; ping?: null; stanza?: null }|{ frame?: "unsubscribe"; message?: null; ack?: null; presence?: null; roster?: null; subscribe?: null; unsubscribe: holdwire.v1.TopicName.$Shape; history?: null; auth?: null; ping?: null; stanza?: null }|{ frame?: "history"; message?: null; ack?: null; presence?: null; roster?: null; subscribe?: null; unsubscribe?: null; history: holdwire.v1.History.$Shape; auth?: null; ping?: null; stanza?: null }|{ frame?: "auth"; message?: null; ack?: null; presence?: null; roster?: null; subscribe?: null; unsubscribe?: null; history?: null; auth: holdwire.v1.Auth.$Shape; ping?: null; stanza?: null }|{ frame?: "ping"; message?: null; ack?: null; presence?: null; roster?: null; subscribe?: null; unsubscribe?: null; history?: null; auth?: null; ping: holdwire.v1.Ping.$Shape; stanza?: null }|{ frame?: "stanza"; message?: null; ack?: null; presence?: null; roster?: null; subscribe?: null; unsubscribe?: null; history?: null; auth?: null; ping?: null; stanza: holdwire.v1.Stanza.$Shape })
            );
        }

        /**
         * Properties of a Hello.
         * @deprecated Use holdwire.v1.Hello.$Properties instead.
         */
        interface IHello extends holdwire.v1.Hello.$Properties {
        }

        /** Represents a Hello. */
        class Hello {

            /**
             * Constructs a new Hello.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Hello.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Hello session. */
            session: string;

            /** Hello user. */
            user: string;

            /** Hello device. */
            device: string;

            /** Hello recovered. */
            recovered: boolean;

            /** Hello pingSeconds. */
            pingSeconds: number;

            /** Hello resumeSeconds. */
            resumeSeconds: number;

            /**
             * Creates a new Hello instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Hello instance
             */
            static create(properties: holdwire.v1.Hello.$Shape): holdwire.v1.Hello & holdwire.v1.Hello.$Shape;
            static create(properties?: holdwire.v1.Hello.$Properties): holdwire.v1.Hello;

            /**
             * Encodes the specified Hello message. Does not implicitly {@link holdwire.v1.Hello.verify|verify} messages.
             * @param message Hello message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Hello.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Hello message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Hello & holdwire.v1.Hello.$Shape} Hello
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Hello & holdwire.v1.Hello.$Shape;
        }

        namespace Hello {

            /** Properties of a Hello. */
            interface $Properties {

                /** Hello session */
                session?: (string|null);

                /** Hello user */
                user?: (string|null);

                /** Hello device */
                device?: (string|null);

                /** Hello recovered */
                recovered?: (boolean|null);

                /** Hello pingSeconds */
                pingSeconds?: (number|null);

                /** Hello resumeSeconds */
                resumeSeconds?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Hello. */
            type $Shape = holdwire.v1.Hello.$Properties;
        }

        /**
         * Properties of a Message.
         * @deprecated Use holdwire.v1.Message.$Properties instead.
         */
        interface IMessage extends holdwire.v1.Message.$Properties {
        }

        /** Represents a Message. */
        class Message {

            /**
             * Constructs a new Message.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Message.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Message id. */
            id: string;

            /** Message from. */
            from: string;

            /** Message topic. */
            topic: string;

            /** Message time. */
            time: number;

            /** Message data. */
            data: Uint8Array;

            /** Message ephemeral. */
            ephemeral: boolean;

            /**
             * Creates a new Message instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Message instance
             */
            static create(properties: holdwire.v1.Message.$Shape): holdwire.v1.Message & holdwire.v1.Message.$Shape;
            static create(properties?: holdwire.v1.Message.$Properties): holdwire.v1.Message;

            /**
             * Encodes the specified Message message. Does not implicitly {@link holdwire.v1.Message.verify|verify} messages.
             * @param message Message message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Message.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Message message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Message & holdwire.v1.Message.$Shape} Message
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Message & holdwire.v1.Message.$Shape;
        }

        namespace Message {

            /** Properties of a Message. */
            interface $Properties {

                /** Message id */
                id?: (string|null);

                /** Message from */
                from?: (string|null);

                /** Message topic */
                topic?: (string|null);

                /** Message time */
                time?: (number|null);

                /** Message data */
                data?: (Uint8Array|null);

                /** Message ephemeral */
                ephemeral?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Message. */
            type $Shape = holdwire.v1.Message.$Properties;
        }

        /**
         * Properties of a Presence.
         * @deprecated Use holdwire.v1.Presence.$Properties instead.
         */
        interface IPresence extends holdwire.v1.Presence.$Properties {
        }

        /** Represents a Presence. */
        class Presence {

            /**
             * Constructs a new Presence.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Presence.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Presence user. */
            user: string;

            /** Presence status. */
            status: string;

            /** Presence note. */
            note: string;

            /**
             * Creates a new Presence instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Presence instance
             */
            static create(properties: holdwire.v1.Presence.$Shape): holdwire.v1.Presence & holdwire.v1.Presence.$Shape;
            static create(properties?: holdwire.v1.Presence.$Properties): holdwire.v1.Presence;

            /**
             * Encodes the specified Presence message. Does not implicitly {@link holdwire.v1.Presence.verify|verify} messages.
             * @param message Presence message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Presence.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Presence message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Presence & holdwire.v1.Presence.$Shape} Presence
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Presence & holdwire.v1.Presence.$Shape;
        }

        namespace Presence {

            /** Properties of a Presence. */
            interface $Properties {

                /** Presence user */
                user?: (string|null);

                /** Presence status */
                status?: (string|null);

                /** Presence note */
                note?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Presence. */
            type $Shape = holdwire.v1.Presence.$Properties;
        }

        /**
         * Properties of a Roster.
         * @deprecated Use holdwire.v1.Roster.$Properties instead.
         */
        interface IRoster extends holdwire.v1.Roster.$Properties {
        }

        /** Represents a Roster. */
        class Roster {

            /**
             * Constructs a new Roster.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Roster.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Roster op. */
            op: string;

            /** Roster user. */
            user: string;

            /** Roster name. */
            name: string;

            /** Roster groups. */
            groups: string[];

            /** Roster subscription. */
            subscription: string;

            /** Roster ask. */
            ask: string;

            /**
             * Creates a new Roster instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Roster instance
             */
            static create(properties: holdwire.v1.Roster.$Shape): holdwire.v1.Roster & holdwire.v1.Roster.$Shape;
            static create(properties?: holdwire.v1.Roster.$Properties): holdwire.v1.Roster;

            /**
             * Encodes the specified Roster message. Does not implicitly {@link holdwire.v1.Roster.verify|verify} messages.
             * @param message Roster message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Roster.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Roster message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Roster & holdwire.v1.Roster.$Shape} Roster
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Roster & holdwire.v1.Roster.$Shape;
        }

        namespace Roster {

            /** Properties of a Roster. */
            interface $Properties {

                /** Roster op */
                op?: (string|null);

                /** Roster user */
                user?: (string|null);

                /** Roster name */
                name?: (string|null);

                /** Roster groups */
                groups?: (string[]|null);

                /** Roster subscription */
                subscription?: (string|null);

                /** Roster ask */
                ask?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Roster. */
            type $Shape = holdwire.v1.Roster.$Properties;
        }

        /**
         * Properties of a Reply.
         * @deprecated Use holdwire.v1.Reply.$Properties instead.
         */
        interface IReply extends holdwire.v1.Reply.$Properties {
        }

        /** Represents a Reply. */
        class Reply {

            /**
             * Constructs a new Reply.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Reply.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Reply ref. */
            ref: string;

            /** Reply ok. */
            ok: boolean;

            /** Reply result. */
            result: Uint8Array;

            /** Reply error. */
            error?: (holdwire.v1.Error.$Properties|null);

            /**
             * Creates a new Reply instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Reply instance
             */
            static create(properties: holdwire.v1.Reply.$Shape): holdwire.v1.Reply & holdwire.v1.Reply.$Shape;
            static create(properties?: holdwire.v1.Reply.$Properties): holdwire.v1.Reply;

            /**
             * Encodes the specified Reply message. Does not implicitly {@link holdwire.v1.Reply.verify|verify} messages.
             * @param message Reply message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Reply.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Reply message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Reply & holdwire.v1.Reply.$Shape} Reply
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Reply & holdwire.v1.Reply.$Shape;
        }

        namespace Reply {

            /** Properties of a Reply. */
            interface $Properties {

                /** Reply ref */
                ref?: (string|null);

                /** Reply ok */
                ok?: (boolean|null);

                /** Reply result */
                result?: (Uint8Array|null);

                /** Reply error */
                error?: (holdwire.v1.Error.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Reply. */
            type $Shape = holdwire.v1.Reply.$Properties;
        }

        /**
         * Properties of an Error.
         * @deprecated Use holdwire.v1.Error.$Properties instead.
         */
        interface IError extends holdwire.v1.Error.$Properties {
        }

        /** Represents an Error. */
        class Error {

            /**
             * Constructs a new Error.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Error.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Error code. */
            code: string;

            /** Error message. */
            message: string;

            /**
             * Creates a new Error instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Error instance
             */
            static create(properties: holdwire.v1.Error.$Shape): holdwire.v1.Error & holdwire.v1.Error.$Shape;
            static create(properties?: holdwire.v1.Error.$Properties): holdwire.v1.Error;

            /**
             * Encodes the specified Error message. Does not implicitly {@link holdwire.v1.Error.verify|verify} messages.
             * @param message Error message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Error.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Error message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Error & holdwire.v1.Error.$Shape} Error
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Error & holdwire.v1.Error.$Shape;
        }

        namespace Error {

            /** Properties of an Error. */
            interface $Properties {

                /** Error code */
                code?: (string|null);

                /** Error message */
                message?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Error. */
            type $Shape = holdwire.v1.Error.$Properties;
        }

        /**
         * Properties of a Gap.
         * @deprecated Use holdwire.v1.Gap.$Properties instead.
         */
        interface IGap extends holdwire.v1.Gap.$Properties {
        }

        /** Represents a Gap. */
        class Gap {

            /**
             * Constructs a new Gap.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Gap.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Gap reason. */
            reason: string;

            /**
             * Creates a new Gap instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Gap instance
             */
            static create(properties: holdwire.v1.Gap.$Shape): holdwire.v1.Gap & holdwire.v1.Gap.$Shape;
            static create(properties?: holdwire.v1.Gap.$Properties): holdwire.v1.Gap;

            /**
             * Encodes the specified Gap message. Does not implicitly {@link holdwire.v1.Gap.verify|verify} messages.
             * @param message Gap message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Gap.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Gap message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Gap & holdwire.v1.Gap.$Shape} Gap
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Gap & holdwire.v1.Gap.$Shape;
        }

        namespace Gap {

            /** Properties of a Gap. */
            interface $Properties {

                /** Gap reason */
                reason?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Gap. */
            type $Shape = holdwire.v1.Gap.$Properties;
        }

        /**
         * Properties of a Drain.
         * @deprecated Use holdwire.v1.Drain.$Properties instead.
         */
        interface IDrain extends holdwire.v1.Drain.$Properties {
        }

        /** Represents a Drain. */
        class Drain {

            /**
             * Constructs a new Drain.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Drain.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Drain retryAfterMs. */
            retryAfterMs: number;

            /**
             * Creates a new Drain instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Drain instance
             */
            static create(properties: holdwire.v1.Drain.$Shape): holdwire.v1.Drain & holdwire.v1.Drain.$Shape;
            static create(properties?: holdwire.v1.Drain.$Properties): holdwire.v1.Drain;

            /**
             * Encodes the specified Drain message. Does not implicitly {@link holdwire.v1.Drain.verify|verify} messages.
             * @param message Drain message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Drain.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Drain message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Drain & holdwire.v1.Drain.$Shape} Drain
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Drain & holdwire.v1.Drain.$Shape;
        }

        namespace Drain {

            /** Properties of a Drain. */
            interface $Properties {

                /** Drain retryAfterMs */
                retryAfterMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Drain. */
            type $Shape = holdwire.v1.Drain.$Properties;
        }

        /**
         * Properties of a Close.
         * @deprecated Use holdwire.v1.Close.$Properties instead.
         */
        interface IClose extends holdwire.v1.Close.$Properties {
        }

        /** Represents a Close. */
        class Close {

            /**
             * Constructs a new Close.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Close.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Close code. */
            code: string;

            /** Close reason. */
            reason: string;

            /** Close retryAfterMs. */
            retryAfterMs: number;

            /**
             * Creates a new Close instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Close instance
             */
            static create(properties: holdwire.v1.Close.$Shape): holdwire.v1.Close & holdwire.v1.Close.$Shape;
            static create(properties?: holdwire.v1.Close.$Properties): holdwire.v1.Close;

            /**
             * Encodes the specified Close message. Does not implicitly {@link holdwire.v1.Close.verify|verify} messages.
             * @param message Close message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Close.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Close message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Close & holdwire.v1.Close.$Shape} Close
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Close & holdwire.v1.Close.$Shape;
        }

        namespace Close {

            /** Properties of a Close. */
            interface $Properties {

                /** Close code */
                code?: (string|null);

                /** Close reason */
                reason?: (string|null);

                /** Close retryAfterMs */
                retryAfterMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Close. */
            type $Shape = holdwire.v1.Close.$Properties;
        }

        /**
         * Properties of a Stanza.
         * @deprecated Use holdwire.v1.Stanza.$Properties instead.
         */
        interface IStanza extends holdwire.v1.Stanza.$Properties {
        }

        /** Represents a Stanza. */
        class Stanza {

            /**
             * Constructs a new Stanza.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Stanza.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Stanza xml. */
            xml: Uint8Array;

            /** Stanza id. */
            id: string;

            /**
             * Creates a new Stanza instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Stanza instance
             */
            static create(properties: holdwire.v1.Stanza.$Shape): holdwire.v1.Stanza & holdwire.v1.Stanza.$Shape;
            static create(properties?: holdwire.v1.Stanza.$Properties): holdwire.v1.Stanza;

            /**
             * Encodes the specified Stanza message. Does not implicitly {@link holdwire.v1.Stanza.verify|verify} messages.
             * @param message Stanza message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Stanza.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Stanza message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Stanza & holdwire.v1.Stanza.$Shape} Stanza
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Stanza & holdwire.v1.Stanza.$Shape;
        }

        namespace Stanza {

            /** Properties of a Stanza. */
            interface $Properties {

                /** Stanza xml */
                xml?: (Uint8Array|null);

                /** Stanza id */
                id?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Stanza. */
            type $Shape = holdwire.v1.Stanza.$Properties;
        }

        /**
         * Properties of a Send.
         * @deprecated Use holdwire.v1.Send.$Properties instead.
         */
        interface ISend extends holdwire.v1.Send.$Properties {
        }

        /** Represents a Send. */
        class Send {

            /**
             * Constructs a new Send.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Send.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Send to. */
            to: string;

            /** Send topic. */
            topic: string;

            /** Send data. */
            data: Uint8Array;

            /** Send id. */
            id: string;

            /** Send ttlSeconds. */
            ttlSeconds: number;

            /** Send ephemeral. */
            ephemeral: boolean;

            /**
             * Creates a new Send instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Send instance
             */
            static create(properties: holdwire.v1.Send.$Shape): holdwire.v1.Send & holdwire.v1.Send.$Shape;
            static create(properties?: holdwire.v1.Send.$Properties): holdwire.v1.Send;

            /**
             * Encodes the specified Send message. Does not implicitly {@link holdwire.v1.Send.verify|verify} messages.
             * @param message Send message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Send.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Send message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Send & holdwire.v1.Send.$Shape} Send
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Send & holdwire.v1.Send.$Shape;
        }

        namespace Send {

            /** Properties of a Send. */
            interface $Properties {

                /** Send to */
                to?: (string|null);

                /** Send topic */
                topic?: (string|null);

                /** Send data */
                data?: (Uint8Array|null);

                /** Send id */
                id?: (string|null);

                /** Send ttlSeconds */
                ttlSeconds?: (number|null);

                /** Send ephemeral */
                ephemeral?: (boolean|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Send. */
            type $Shape = holdwire.v1.Send.$Properties;
        }

        /**
         * Properties of an Ack.
         * @deprecated Use holdwire.v1.Ack.$Properties instead.
         */
        interface IAck extends holdwire.v1.Ack.$Properties {
        }

        /** Represents an Ack. */
        class Ack {

            /**
             * Constructs a new Ack.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Ack.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Ack cursor. */
            cursor: string;

            /**
             * Creates a new Ack instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Ack instance
             */
            static create(properties: holdwire.v1.Ack.$Shape): holdwire.v1.Ack & holdwire.v1.Ack.$Shape;
            static create(properties?: holdwire.v1.Ack.$Properties): holdwire.v1.Ack;

            /**
             * Encodes the specified Ack message. Does not implicitly {@link holdwire.v1.Ack.verify|verify} messages.
             * @param message Ack message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Ack.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Ack message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Ack & holdwire.v1.Ack.$Shape} Ack
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Ack & holdwire.v1.Ack.$Shape;
        }

        namespace Ack {

            /** Properties of an Ack. */
            interface $Properties {

                /** Ack cursor */
                cursor?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Ack. */
            type $Shape = holdwire.v1.Ack.$Properties;
        }

        /**
         * Properties of a SetPresence.
         * @deprecated Use holdwire.v1.SetPresence.$Properties instead.
         */
        interface ISetPresence extends holdwire.v1.SetPresence.$Properties {
        }

        /** Represents a SetPresence. */
        class SetPresence {

            /**
             * Constructs a new SetPresence.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.SetPresence.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SetPresence status. */
            status: string;

            /** SetPresence note. */
            note: string;

            /**
             * Creates a new SetPresence instance using the specified properties.
             * @param [properties] Properties to set
             * @returns SetPresence instance
             */
            static create(properties: holdwire.v1.SetPresence.$Shape): holdwire.v1.SetPresence & holdwire.v1.SetPresence.$Shape;
            static create(properties?: holdwire.v1.SetPresence.$Properties): holdwire.v1.SetPresence;

            /**
             * Encodes the specified SetPresence message. Does not implicitly {@link holdwire.v1.SetPresence.verify|verify} messages.
             * @param message SetPresence message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.SetPresence.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SetPresence message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.SetPresence & holdwire.v1.SetPresence.$Shape} SetPresence
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.SetPresence & holdwire.v1.SetPresence.$Shape;
        }

        namespace SetPresence {

            /** Properties of a SetPresence. */
            interface $Properties {

                /** SetPresence status */
                status?: (string|null);

                /** SetPresence note */
                note?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SetPresence. */
            type $Shape = holdwire.v1.SetPresence.$Properties;
        }

        /**
         * Properties of a RosterCommand.
         * @deprecated Use holdwire.v1.RosterCommand.$Properties instead.
         */
        interface IRosterCommand extends holdwire.v1.RosterCommand.$Properties {
        }

        /** Represents a RosterCommand. */
        class RosterCommand {

            /**
             * Constructs a new RosterCommand.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.RosterCommand.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** RosterCommand op. */
            op: string;

            /** RosterCommand user. */
            user: string;

            /** RosterCommand name. */
            name: string;

            /** RosterCommand groups. */
            groups: string[];

            /**
             * Creates a new RosterCommand instance using the specified properties.
             * @param [properties] Properties to set
             * @returns RosterCommand instance
             */
            static create(properties: holdwire.v1.RosterCommand.$Shape): holdwire.v1.RosterCommand & holdwire.v1.RosterCommand.$Shape;
            static create(properties?: holdwire.v1.RosterCommand.$Properties): holdwire.v1.RosterCommand;

            /**
             * Encodes the specified RosterCommand message. Does not implicitly {@link holdwire.v1.RosterCommand.verify|verify} messages.
             * @param message RosterCommand message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.RosterCommand.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a RosterCommand message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.RosterCommand & holdwire.v1.RosterCommand.$Shape} RosterCommand
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.RosterCommand & holdwire.v1.RosterCommand.$Shape;
        }

        namespace RosterCommand {

            /** Properties of a RosterCommand. */
            interface $Properties {

                /** RosterCommand op */
                op?: (string|null);

                /** RosterCommand user */
                user?: (string|null);

                /** RosterCommand name */
                name?: (string|null);

                /** RosterCommand groups */
                groups?: (string[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a RosterCommand. */
            type $Shape = holdwire.v1.RosterCommand.$Properties;
        }

        /**
         * Properties of a TopicName.
         * @deprecated Use holdwire.v1.TopicName.$Properties instead.
         */
        interface ITopicName extends holdwire.v1.TopicName.$Properties {
        }

        /** Represents a TopicName. */
        class TopicName {

            /**
             * Constructs a new TopicName.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.TopicName.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** TopicName topic. */
            topic: string;

            /**
             * Creates a new TopicName instance using the specified properties.
             * @param [properties] Properties to set
             * @returns TopicName instance
             */
            static create(properties: holdwire.v1.TopicName.$Shape): holdwire.v1.TopicName & holdwire.v1.TopicName.$Shape;
            static create(properties?: holdwire.v1.TopicName.$Properties): holdwire.v1.TopicName;

            /**
             * Encodes the specified TopicName message. Does not implicitly {@link holdwire.v1.TopicName.verify|verify} messages.
             * @param message TopicName message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.TopicName.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a TopicName message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.TopicName & holdwire.v1.TopicName.$Shape} TopicName
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.TopicName & holdwire.v1.TopicName.$Shape;
        }

        namespace TopicName {

            /** Properties of a TopicName. */
            interface $Properties {

                /** TopicName topic */
                topic?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a TopicName. */
            type $Shape = holdwire.v1.TopicName.$Properties;
        }

        /**
         * Properties of a History.
         * @deprecated Use holdwire.v1.History.$Properties instead.
         */
        interface IHistory extends holdwire.v1.History.$Properties {
        }

        /** Represents a History. */
        class History {

            /**
             * Constructs a new History.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.History.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** History cursor. */
            cursor: string;

            /** History before. */
            before: string;

            /** History limit. */
            limit: number;

            /**
             * Creates a new History instance using the specified properties.
             * @param [properties] Properties to set
             * @returns History instance
             */
            static create(properties: holdwire.v1.History.$Shape): holdwire.v1.History & holdwire.v1.History.$Shape;
            static create(properties?: holdwire.v1.History.$Properties): holdwire.v1.History;

            /**
             * Encodes the specified History message. Does not implicitly {@link holdwire.v1.History.verify|verify} messages.
             * @param message History message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.History.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a History message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.History & holdwire.v1.History.$Shape} History
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.History & holdwire.v1.History.$Shape;
        }

        namespace History {

            /** Properties of a History. */
            interface $Properties {

                /** History cursor */
                cursor?: (string|null);

                /** History before */
                before?: (string|null);

                /** History limit */
                limit?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a History. */
            type $Shape = holdwire.v1.History.$Properties;
        }

        /**
         * Properties of an Auth.
         * @deprecated Use holdwire.v1.Auth.$Properties instead.
         */
        interface IAuth extends holdwire.v1.Auth.$Properties {
        }

        /** Represents an Auth. */
        class Auth {

            /**
             * Constructs a new Auth.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Auth.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Auth token. */
            token: string;

            /**
             * Creates a new Auth instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Auth instance
             */
            static create(properties: holdwire.v1.Auth.$Shape): holdwire.v1.Auth & holdwire.v1.Auth.$Shape;
            static create(properties?: holdwire.v1.Auth.$Properties): holdwire.v1.Auth;

            /**
             * Encodes the specified Auth message. Does not implicitly {@link holdwire.v1.Auth.verify|verify} messages.
             * @param message Auth message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Auth.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Auth message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Auth & holdwire.v1.Auth.$Shape} Auth
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Auth & holdwire.v1.Auth.$Shape;
        }

        namespace Auth {

            /** Properties of an Auth. */
            interface $Properties {

                /** Auth token */
                token?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Auth. */
            type $Shape = holdwire.v1.Auth.$Properties;
        }

        /**
         * Properties of a Ping.
         * @deprecated Use holdwire.v1.Ping.$Properties instead.
         */
        interface IPing extends holdwire.v1.Ping.$Properties {
        }

        /** Represents a Ping. */
        class Ping {

            /**
             * Constructs a new Ping.
             * @param [properties] Properties to set
             */
            constructor(properties?: holdwire.v1.Ping.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /**
             * Creates a new Ping instance using the specified properties.
             * @param [properties] Properties to set
             * @returns Ping instance
             */
            static create(properties: holdwire.v1.Ping.$Shape): holdwire.v1.Ping & holdwire.v1.Ping.$Shape;
            static create(properties?: holdwire.v1.Ping.$Properties): holdwire.v1.Ping;

            /**
             * Encodes the specified Ping message. Does not implicitly {@link holdwire.v1.Ping.verify|verify} messages.
             * @param message Ping message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: holdwire.v1.Ping.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Ping message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {holdwire.v1.Ping & holdwire.v1.Ping.$Shape} Ping
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): holdwire.v1.Ping & holdwire.v1.Ping.$Shape;
        }

        namespace Ping {

            /** Properties of a Ping. */
            interface $Properties {

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Ping. */
            type $Shape = holdwire.v1.Ping.$Properties;
        }
    }
}
