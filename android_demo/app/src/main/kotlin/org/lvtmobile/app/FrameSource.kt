package org.lvtmobile.app

import android.view.Surface
import org.lvtmobile.core.Size

/**
 * A camera: delivers upright frames for the network, and shows a preview on a surface of its own.
 *
 * Implementations have their own thread. All methods may be called on any thread.
 */
interface FrameSource : AutoCloseable {
    /** Receives frames and events, on the thread of the source. */
    interface Listener {
        /** The frame is valid only until the method returns. */
        fun onFrame(frame: Frame)

        /**
         * The camera needs a surface of this size for its preview; [showPreview] passes it on. Null: the camera has
         * no preview, and the frames have to be shown instead.
         */
        fun onPreviewSize(size: Size?)

        /** The camera does not deliver frames any more. */
        fun onError(problem: CameraProblem)
    }

    /** Rotation of the display that shows the frames, from its natural orientation, in degrees. */
    var displayRotation: Int

    /** Starts the camera, or changes the size of its frames. Requires the camera permission. */
    fun start(network: Size)

    /** Stops the camera and releases it for other apps. */
    fun stop()

    /** Shows the preview on a surface; null removes it, and returns only when the camera does not use it any more. */
    fun showPreview(surface: Surface?)

    /** Stops the camera for ever. */
    override fun close()
}

/** Why a camera delivers no frames, and technical details in English. */
data class CameraProblem(val kind: Kind, val details: String = "") {
    /** The kinds of problems. */
    enum class Kind {
        /** The device has no camera. */
        MISSING,

        /** The app may not use the camera. */
        FORBIDDEN,

        /** Another app uses the camera, or took it away. */
        BUSY,

        /** The camera does not work. */
        FAILED,
    }
}
