package org.lvtmobile.app

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.ImageFormat
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.hardware.display.DisplayManager
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import android.view.Display
import android.view.Surface
import org.lvtmobile.core.Size

/**
 * Upright frames of the back camera, or of any other where there is none.
 *
 * Camera2's callbacks come in their own time, after [stop] too. So everything here happens on one
 * thread, and a device that opens when it is no longer wanted is closed at once.
 *
 * @param onFrame gets each frame on the camera's thread; the frame is the camera's again on return.
 * @param onProblem gets one line for the user, on the camera's thread.
 */
class Camera(
    context: Context,
    private val onFrame: (Frame) -> Unit,
    private val onProblem: (String) -> Unit,
) : AutoCloseable {
    private val manager = context.getSystemService(CameraManager::class.java)
    private val display = context.getSystemService(DisplayManager::class.java).getDisplay(Display.DEFAULT_DISPLAY)
    private val thread = HandlerThread("camera").apply { start() }
    private val handler = Handler(thread.looper)

    // From here on: the camera's thread alone.
    private var wanted: Size? = null
    private var device: CameraDevice? = null
    private var reader: ImageReader? = null
    private var opening = false
    private var ending = false
    private val yuv = Yuv()
    private val frame = Frame()

    /** Starts the camera, or changes its frames' size; needs the camera permission. */
    fun start(network: Size) {
        handler.post {
            if (wanted != network) release()
            wanted = network
            if (device == null && !opening) open(network)
        }
    }

    /** Gives the camera to whoever wants it next. */
    fun stop() {
        handler.post {
            wanted = null
            release()
        }
    }

    /** Ends the thread; the camera cannot be started again. */
    override fun close() {
        handler.post {
            wanted = null
            ending = true
            release()
            endIfIdle()
        }
    }

    /** A device that is still opening has yet to be closed. */
    private fun endIfIdle() {
        if (ending && !opening) thread.quitSafely()
    }

    private fun release() {
        device?.close()
        device = null
        reader?.close()
        reader = null
    }

    @SuppressLint("MissingPermission") // whoever calls start has it
    private fun open(network: Size) {
        try {
            val id = choose() ?: return onProblem("this device has no camera; choose a photo instead")
            val traits = manager.getCameraCharacteristics(id)
            opening = true
            manager.openCamera(id, Opening(traits, network), handler)
        } catch (error: CameraAccessException) {
            opening = false
            onProblem("the camera cannot be opened: ${error.message}")
        } catch (_: SecurityException) {
            opening = false
            onProblem("this app may not use the camera; allow it in the settings, or choose a photo")
        }
    }

    private fun choose(): String? {
        val ids = manager.cameraIdList.toList()
        return ids.find { facing(manager.getCameraCharacteristics(it)) == CameraCharacteristics.LENS_FACING_BACK }
            ?: ids.firstOrNull()
    }

    private fun facing(traits: CameraCharacteristics): Int? = traits.get(CameraCharacteristics.LENS_FACING)

    private inner class Opening(private val traits: CameraCharacteristics, private val network: Size) :
        CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            opening = false
            val now = wanted
            if (now == null) {
                camera.close()
                return endIfIdle()
            }
            if (now != network) {
                camera.close()
                return open(now)
            }
            device = camera
            try {
                stream(camera, traits, network)
            } catch (error: CameraAccessException) {
                lost("the camera does not start: ${error.message}")
            }
        }

        override fun onDisconnected(camera: CameraDevice) = ended(camera, "another app has taken the camera")

        override fun onError(camera: CameraDevice, error: Int) = ended(camera, "the camera has failed (error $error)")

        private fun ended(camera: CameraDevice, line: String) {
            opening = false
            camera.close()
            if (camera == device) device = null
            if (wanted != null) lost(line)
            endIfIdle()
        }
    }

    private fun lost(line: String) {
        wanted = null
        release()
        onProblem(line)
    }

    @Suppress("DEPRECATION") // its successor came with API 28
    private fun stream(camera: CameraDevice, traits: CameraCharacteristics, network: Size) {
        val sizes = traits.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP)
            ?.getOutputSizes(ImageFormat.YUV_420_888).orEmpty().map { Size(it.height, it.width) }
        if (sizes.isEmpty()) return lost("this camera delivers no frames that the app can read")
        val size = chooseStream(sizes, network)
        val made = ImageReader.newInstance(size.width, size.height, ImageFormat.YUV_420_888, IMAGES)
        made.setOnImageAvailableListener({ take(it, traits) }, handler)
        reader = made
        val request = camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW).apply {
            addTarget(made.surface)
            set(CaptureRequest.CONTROL_AF_MODE, focus(traits))
        }.build()
        camera.createCaptureSession(
            listOf(made.surface),
            object : CameraCaptureSession.StateCallback() {
                override fun onConfigured(session: CameraCaptureSession) {
                    if (device != camera) return
                    try {
                        session.setRepeatingRequest(request, null, handler)
                    } catch (error: CameraAccessException) {
                        lost("the camera does not start: ${error.message}")
                    }
                }

                override fun onConfigureFailed(session: CameraCaptureSession) =
                    lost("the camera does not deliver frames of ${size.width} x ${size.height}")
            },
            handler,
        )
    }

    /** Continuous, where the camera has it: some focus at one distance only, and refuse the mode. */
    private fun focus(traits: CameraCharacteristics): Int {
        val modes = traits.get(CameraCharacteristics.CONTROL_AF_AVAILABLE_MODES) ?: IntArray(0)
        return CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE.takeIf { it in modes }
            ?: CaptureRequest.CONTROL_AF_MODE_OFF
    }

    /** Turns the newest image into a frame; older ones that wait are dropped. */
    private fun take(source: ImageReader, traits: CameraCharacteristics) {
        if (source != reader) return // an old reader's last call
        val image = source.acquireLatestImage() ?: return
        image.use {
            yuv.begin(Size(it.height, it.width))
            it.planes.forEachIndexed { index, plane ->
                yuv.plane(index, plane.buffer, plane.rowStride, plane.pixelStride)
            }
        }
        val sensor = traits.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0
        val front = facing(traits) == CameraCharacteristics.LENS_FACING_FRONT
        yuv.toFrame(uprightTurn(sensor, degrees(display.rotation), front), frame)
        onFrame(frame)
    }

    private fun degrees(rotation: Int): Int = when (rotation) {
        Surface.ROTATION_90 -> 90
        Surface.ROTATION_180 -> 180
        Surface.ROTATION_270 -> 270
        else -> 0
    }

    private companion object {
        const val IMAGES = 3 // acquireLatestImage needs two; the third is being filled
    }
}
