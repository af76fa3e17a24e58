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
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import android.view.Surface
import android.view.SurfaceHolder
import org.lvtmobile.core.Size
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit

/**
 * The back camera, or another camera if there is no back camera. The network gets small frames; the preview is a
 * second stream of the same shape.
 *
 * Camera2 can call back after [stop]. Therefore all state is used on one thread, and a device that opens after [stop]
 * is closed at once. A camera that disconnects can throw from any of its methods.
 */
class CameraSource(context: Context, private val listener: FrameSource.Listener) : FrameSource {
    private val manager = context.getSystemService(CameraManager::class.java)
    private val thread = HandlerThread("camera").apply { start() }
    private val handler = Handler(thread.looper)

    @Volatile override var displayRotation: Int = 0

    // The following properties are used on the camera thread only.
    private var requestedSize: Size? = null
    private var camera: OpenCamera? = null
    private var preview: Surface? = null
    private var opening = false
    private var closing = false
    private val yuv = YuvBuffer()
    private val frame = Frame()

    /** A device that is open, and its stream for the network. */
    private class OpenCamera(val device: CameraDevice, val traits: CameraTraits, val reader: ImageReader) {
        var session: CameraCaptureSession? = null

        fun close() {
            device.close() // closes the session too
            reader.close()
        }
    }

    override fun start(network: Size) {
        handler.post {
            if (requestedSize != network) release()
            requestedSize = network
            if (camera == null && !opening) open(network)
        }
    }

    override fun stop() {
        handler.post {
            requestedSize = null
            release()
        }
    }

    override fun showPreview(surface: Surface?) {
        val done = CountDownLatch(1)
        val posted = handler.post {
            if (surface !== preview) {
                preview = surface
                camera?.let(::startStreams)
            }
            done.countDown()
        }
        if (posted && surface == null) done.await(SURFACE_TIMEOUT_MS, TimeUnit.MILLISECONDS)
    }

    /** Stops the camera and ends the thread. The camera cannot be started again. */
    override fun close() {
        handler.post {
            requestedSize = null
            closing = true
            release()
            quitIfIdle()
        }
    }

    /** Ends the thread, unless a device is still opening and must be closed first. */
    private fun quitIfIdle() {
        if (closing && !opening) thread.quitSafely()
    }

    private fun release() {
        camera?.close()
        camera = null
    }

    @SuppressLint("MissingPermission") // callers of start() have the permission
    private fun open(network: Size) = reportProblems {
        val id = chooseCameraId()
        if (id == null) {
            requestedSize = null
            return@reportProblems listener.onError(CameraProblem(CameraProblem.Kind.MISSING))
        }
        val traits = CameraTraits(manager.getCameraCharacteristics(id))
        opening = true
        manager.openCamera(id, DeviceCallback(traits, network), handler)
    }

    private fun chooseCameraId(): String? {
        val ids = manager.cameraIdList.toList()
        return ids.find { !CameraTraits(manager.getCameraCharacteristics(it)).facesFront } ?: ids.firstOrNull()
    }

    /** Camera2 throws IllegalStateException and IllegalArgumentException for a camera that has gone meanwhile. */
    private fun reportProblems(action: () -> Unit) {
        val problem = try {
            return action()
        } catch (error: CameraAccessException) {
            val busy = error.reason in setOf(CameraAccessException.CAMERA_IN_USE, CameraAccessException.MAX_CAMERAS_IN_USE)
            CameraProblem(if (busy) CameraProblem.Kind.BUSY else CameraProblem.Kind.FAILED, error.message.orEmpty())
        } catch (_: SecurityException) {
            CameraProblem(CameraProblem.Kind.FORBIDDEN)
        } catch (error: IllegalStateException) {
            CameraProblem(CameraProblem.Kind.FAILED, error.message.orEmpty())
        } catch (error: IllegalArgumentException) {
            CameraProblem(CameraProblem.Kind.FAILED, error.message.orEmpty())
        }
        opening = false
        fail(problem)
    }

    private fun fail(problem: CameraProblem) {
        requestedSize = null
        release()
        listener.onError(problem)
    }

    private inner class DeviceCallback(private val traits: CameraTraits, private val network: Size) :
        CameraDevice.StateCallback() {
        override fun onOpened(device: CameraDevice) {
            opening = false
            val requested = requestedSize
            if (requested != network) {
                device.close()
                return if (requested == null) quitIfIdle() else open(requested)
            }
            reportProblems { connect(device) }
        }

        override fun onDisconnected(device: CameraDevice) = onEnd(device, CameraProblem(CameraProblem.Kind.BUSY))

        override fun onError(device: CameraDevice, error: Int) =
            onEnd(device, CameraProblem(CameraProblem.Kind.FAILED, "error $error"))

        private fun onEnd(device: CameraDevice, problem: CameraProblem) {
            opening = false
            val current = camera == null || camera?.device == device // not one that was replaced meanwhile
            device.close()
            if (requestedSize != null && current) fail(problem)
            quitIfIdle()
        }

        private fun connect(device: CameraDevice) {
            val sizes = traits.sizes(ImageFormat.YUV_420_888)
            if (sizes.isEmpty()) {
                device.close()
                return fail(CameraProblem(CameraProblem.Kind.FAILED, "no stream of the format YUV_420_888"))
            }
            val (size, previewSize) = chooseStreams(sizes, traits.previewSizes(), network)
            val reader = ImageReader.newInstance(size.width, size.height, ImageFormat.YUV_420_888, MAX_IMAGES)
            val opened = OpenCamera(device, traits, reader)
            camera = opened
            reader.setOnImageAvailableListener({ reportProblems { readImage(opened) } }, handler)
            listener.onPreviewSize(previewSize)
            startStreams(opened)
        }
    }

    @Suppress("DEPRECATION") // its replacement requires API 28
    private fun startStreams(opened: OpenCamera): Unit = reportProblems {
        if (camera !== opened) return@reportProblems // it has gone meanwhile
        opened.session = null
        val surfaces = listOfNotNull(opened.reader.surface, preview?.takeIf { it.isValid })
        val request = opened.device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW).apply {
            surfaces.forEach(::addTarget)
            set(CaptureRequest.CONTROL_AF_MODE, opened.traits.autofocusMode)
        }.build()
        val callback = object : CameraCaptureSession.StateCallback() {
            override fun onConfigured(session: CameraCaptureSession) {
                if (camera !== opened) return
                opened.session = session
                reportProblems { session.setRepeatingRequest(request, null, handler) }
            }

            override fun onConfigureFailed(session: CameraCaptureSession) {
                if (camera !== opened) return
                if (surfaces.size == 1) {
                    return fail(CameraProblem(CameraProblem.Kind.FAILED, "it refuses its own stream sizes"))
                }
                preview = null // two streams are too many: the small frames are shown instead
                listener.onPreviewSize(null)
                startStreams(opened)
            }
        }
        opened.device.createCaptureSession(surfaces, callback, handler)
    }

    /** Converts the newest image to a frame. Drops older images in the queue. */
    private fun readImage(opened: OpenCamera) {
        if (opened !== camera) return // a callback of a previous reader
        val image = opened.reader.acquireLatestImage() ?: return
        image.use {
            yuv.begin(Size(it.height, it.width))
            it.planes.forEachIndexed { index, plane ->
                yuv.copyPlane(index, plane.buffer, plane.rowStride, plane.pixelStride)
            }
        }
        yuv.toFrame(uprightRotation(opened.traits.orientation, displayRotation, opened.traits.facesFront), frame)
        listener.onFrame(frame)
    }

    private companion object {
        const val MAX_IMAGES = 3 // acquireLatestImage needs two, and the camera fills a third
        const val SURFACE_TIMEOUT_MS = 1000L
    }
}

/** The properties of a camera that this app reads. */
private class CameraTraits(private val characteristics: CameraCharacteristics) {
    val facesFront: Boolean
        get() = characteristics.get(CameraCharacteristics.LENS_FACING) == CameraCharacteristics.LENS_FACING_FRONT

    /** Mounting orientation of the sensor, in degrees. */
    val orientation: Int get() = characteristics.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0

    /** Continuous autofocus if the camera supports it. Fixed-focus cameras do not. */
    val autofocusMode: Int
        get() {
            val modes = characteristics.get(CameraCharacteristics.CONTROL_AF_AVAILABLE_MODES) ?: IntArray(0)
            return CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE.takeIf { it in modes }
                ?: CaptureRequest.CONTROL_AF_MODE_OFF
        }

    fun sizes(format: Int): List<Size> = convert(streams?.getOutputSizes(format))

    fun previewSizes(): List<Size> = convert(streams?.getOutputSizes(SurfaceHolder::class.java))

    private val streams get() = characteristics.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP)

    private fun convert(sizes: Array<android.util.Size>?) = sizes.orEmpty().map { Size(it.height, it.width) }
}
